"""The artifact store, over a folder and over a real S3 server."""

import errno
import hashlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from werkzeug.serving import make_server

from app.core.store import PIECE, FileTooLarge, Full, Missing, Store, Unreachable
from app.core.stores.folder_store import FolderStore
from app.core.stores.store_factory import store_at

DATA = b"a picture" * 1000
SHA = hashlib.sha256(DATA).hexdigest()
FOREIGN = ["", "..", "a" * 63, "A" * 64, "../" + SHA, f"{SHA}/", SHA + "\n", "drafts", "é" * 64]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=s3, region_name="us-east-1").create_bucket(Bucket="atelier")
    return "s3://atelier/some/prefix"


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return store_at(request.getfixturevalue("bucket"))
    return store_at(f"file://{tmp_path}/with%20space")


class Counted(io.BytesIO):
    """A file that knows the most that was read of it at once."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.most = max(self.most, len(data))
        return data


@pytest.mark.parametrize("size", [0, len(DATA), 9 * 2**20])
def test_a_file_is_put_in_pieces(store: Store, size: int) -> None:
    data = (b"another picture" * (size // 15 + 1))[:size]
    file = Counted(data)
    assert store.put_file(file) == hashlib.sha256(data).hexdigest()
    assert store.get(hashlib.sha256(data).hexdigest()) == data
    assert file.most <= PIECE


def test_what_is_put_is_found_by_its_hash(store: Store) -> None:
    assert not store.exists(SHA)
    assert store.put(DATA) == SHA
    assert store.put(DATA) == SHA
    assert store.exists(SHA)
    assert store.stat(SHA) == len(DATA)
    assert store.get(SHA) == DATA
    assert store.read(SHA, 3, 5) == DATA[3:8]
    assert store.read(SHA, len(DATA) - 2, 100) == DATA[-2:]
    assert b"".join(store.chunks(SHA, size=1000)) == DATA


def test_what_is_deleted_is_missing(store: Store) -> None:
    store.put(DATA)
    store.delete(SHA)
    store.delete(SHA)
    with pytest.raises(Missing):
        store.get(SHA)
    with pytest.raises(Missing):
        store.read(SHA, 0, 1)


def test_all_that_is_stored_is_listed_in_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.stores.folder_store.PAGE", 4)
    monkeypatch.setattr("app.core.stores.bucket_store.PAGE", 4)
    start = time.time()
    hashes = sorted(store.put(f"{number}".encode()) for number in range(11))
    listed: list[tuple[str, float]] = []
    while page := store.page(listed[-1][0] if listed else ""):
        assert len(page) <= 4
        listed += page
    names = [name for name, _ in listed]
    assert names == sorted(set(names))
    assert set(hashes) <= set(names)  # a bucket has what other tests put there, too
    assert all(abs(written - start) < 60 for name, written in listed if name in hashes)


def test_files_of_others_are_not_listed(tmp_path: Path) -> None:
    store = store_at(f"file://{tmp_path}")
    store.put(DATA)
    (tmp_path / SHA[:2] / "notes.txt").write_text("mine")
    (tmp_path / "drafts" / SHA).write_text("a draft")
    assert [name for name, _ in store.page()] == [SHA]


def test_no_bytes_are_an_artifact_too(store: Store) -> None:
    assert store.get(store.put(b"")) == b""


@pytest.mark.parametrize("name", FOREIGN)
def test_only_hashes_are_names(store: Store, name: str) -> None:
    store.put(DATA)
    assert not store.exists(name)
    for ask in (store.get, store.stat, store.delete):
        with pytest.raises(Missing):
            ask(name)


@pytest.mark.parametrize("address", ["", "/tmp/x", "file://host/x", "http://x/y", "s3:///x"])
def test_an_address_names_a_folder_or_a_bucket(address: str) -> None:
    with pytest.raises(ValueError, match="a store is"):
        store_at(address)


def test_a_put_of_known_bytes_refreshes_their_time(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(DATA)
    file = tmp_path / SHA[:2] / SHA
    os.utime(file, (1, 1))
    store.put(DATA)
    assert file.stat().st_mtime > time.time() - 60


def test_bytes_that_were_cut_short_are_written_anew(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(DATA)
    (tmp_path / SHA[:2] / SHA).write_bytes(b"cut")
    store.put(DATA)
    assert store.get(SHA) == DATA


def test_drafts_of_the_dead_are_tidied_away(tmp_path: Path) -> None:
    FolderStore(tmp_path)
    old, new = tmp_path / "drafts/old", tmp_path / "drafts/new"
    old.touch()
    new.touch()
    os.utime(old, (1, 1))
    FolderStore(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (errno.ENOSPC, Full, "the disk is full"),
        (errno.EDQUOT, Full, "the disk quota is used up"),
        (errno.EFBIG, FileTooLarge, "the file is too large for the artifact store"),
        (errno.EROFS, Unreachable, "the disk is read-only"),
        (errno.EACCES, Unreachable, "access is denied"),
        (errno.EIO, Unreachable, "input/output error"),
    ],
)
def test_what_a_disk_refuses_is_told_by_its_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    reason: str,
) -> None:
    store = FolderStore(tmp_path)

    def fail(_: int) -> None:
        raise OSError(number, "no", str(tmp_path))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind) as caught:
        store.put(DATA)
    assert str(caught.value) == reason
    assert not list((tmp_path / "drafts").iterdir())


def test_a_folder_that_is_gone_is_unreachable(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    (tmp_path / "store/drafts").rmdir()
    (tmp_path / "store").rmdir()
    with pytest.raises(Unreachable, match="its folder is gone"):
        store.put(DATA)
    with pytest.raises(Unreachable, match="its folder is gone"):  # the file may be there yet
        store.get(SHA)


def test_a_store_that_can_not_be_tidied_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FolderStore(tmp_path)
    (tmp_path / "drafts/old").touch()
    os.utime(tmp_path / "drafts/old", (1, 1))

    def read_only(self: Path) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    FolderStore(tmp_path)


@pytest.fixture
def failing(bucket: str) -> Iterator[Callable[[int], Store]]:
    """A bucket whose server answers every request with a status, or hangs where that is 0."""
    over = threading.Event()

    def app(environ: Any, start: Callable[[str, list[tuple[str, str]]], Any]) -> list[bytes]:
        if not status[0]:
            over.wait(30)
        start(f"{status[0]} No", [("Content-Length", "0")])
        return []

    status = [500]
    with pytest.MonkeyPatch.context() as patch:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

        def open_store(answer: int) -> Store:
            status[0] = answer
            return store_at("s3://atelier", timeout=0.5)

        yield open_store
        over.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (500, Unreachable, "its server answers with status 500"),
        (503, Unreachable, "its server answers with status 503"),
        (403, Unreachable, "access is denied"),
        (401, Unreachable, "access is denied"),
        (507, Full, "the disk is full"),
        (0, Unreachable, "it does not answer"),
    ],
)
def test_what_a_server_refuses_is_told_by_its_reason(
    failing: Callable[[int], Store], status: int, kind: type[Exception], reason: str
) -> None:
    store = failing(status)
    for ask in (lambda: store.put(DATA), lambda: store.read(SHA, 0, 1), lambda: store.get(SHA)):
        with pytest.raises(kind) as caught:
            ask()
        assert str(caught.value) == reason


def test_a_bucket_that_is_not_there_is_unreachable(bucket: str) -> None:
    with pytest.raises(Unreachable):
        store_at("s3://another").put(DATA)
