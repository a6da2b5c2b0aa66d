"""A store that fails or hangs: its readers are told why, and nobody else notices."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.core.settings import Settings
from app.core.store import Store
from app.core.stores.folder_store import FolderStore
from tests.app.serving import Running, serving
from tests.app.test_generate import URL, error_of
from tests.conftest import MODEL, save_vae

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100
READERS = 60


@pytest.fixture
def served(redis_server: str, connection: object, tmp_path: Path) -> Iterator[Running]:
    save_vae(tmp_path / "checkpoints" / f"{MODEL}.safetensors")
    settings = Settings(
        state=tmp_path,
        redis_url=redis_server,
        checkpoints=tmp_path / "checkpoints",
        store_timeout=0.5,
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Reads of a folder wait for it, as those of a network disk that is gone."""
    go_on, read = threading.Event(), FolderStore._read

    def hanging(self: FolderStore, name: str, start: int, length: int) -> bytes:
        go_on.wait(60)
        return read(self, name, start, length)

    monkeypatch.setattr(FolderStore, "_read", hanging)
    yield go_on
    go_on.set()


def post(api: httpx.Client) -> httpx.Response:
    return api.post("/artifacts", content=PNG, headers={"Content-Type": "image/png"})


def test_readers_of_a_store_that_hangs_keep_nobody_from_posting(
    served: Running, hang: threading.Event
) -> None:
    sha256 = post(served.client).json()["sha256"]

    async def all_at_once() -> tuple[list[httpx.Response], httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=served.url, timeout=30, limits=limits) as client:
            reads = [
                asyncio.ensure_future(client.get(f"/artifacts/{sha256}")) for _ in range(READERS)
            ]
            await asyncio.sleep(0)
            accepted = await client.post(URL, json={})
            return await asyncio.gather(*reads), accepted

    reads, accepted = asyncio.run(all_at_once())
    assert accepted.status_code == 202
    assert len(reads) == READERS
    for answer in reads:
        assert (answer.status_code, error_of(answer)["code"]) == (503, "store_unavailable")
        assert "it does not answer" in error_of(answer)["message"]
    hang.set()
    assert served.client.get(f"/artifacts/{sha256}").content == PNG


def test_posts_whose_files_can_not_be_read_do_not_queue_up_for_ever(
    served: Running, hang: threading.Event
) -> None:
    sha256 = post(served.client).json()["sha256"]

    async def all_at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=served.url, timeout=30) as client:
            body = {"init_image": sha256}
            return await asyncio.gather(*(client.post(URL, json=body) for _ in range(12)))

    answers = asyncio.run(all_at_once())
    assert {answer.status_code for answer in answers} == {503}
    messages = [error_of(answer)["message"] for answer in answers]
    assert "too many files are being checked; try again" in messages


def test_a_full_disk_is_called_so(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "no space", "/secret/folder")

    monkeypatch.setattr(os, "fsync", full)
    answer = post(served.client)
    assert answer.status_code == 503
    assert error_of(answer)["code"] == "store_unavailable"
    assert "the disk is full" in error_of(answer)["message"]
    assert "/" not in error_of(answer)["message"]


def test_a_file_that_no_store_of_this_kind_takes_is_the_clients(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(number: int) -> None:
        raise OSError(errno.EFBIG, "file too large")

    monkeypatch.setattr(os, "fsync", too_large)
    answer = post(served.client)
    assert (answer.status_code, error_of(answer)["code"]) == (413, "payload_too_large")


def test_the_bytes_are_there_when_the_store_is(served: Running) -> None:
    store: Store = served.services.store.backend
    assert store.get(post(served.client).json()["sha256"]) == PNG
