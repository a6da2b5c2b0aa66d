"""The artifact store, over a folder and over a real S3 server."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from app.store import FolderStore, Full, Missing, Store, Unreachable

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
        return Store.open(request.getfixturevalue("bucket"))
    return Store.open(f"file://{tmp_path}/with%20space")


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
        Store.open(address)


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


def test_a_full_disk_is_told_from_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    for number, kind in ((errno.ENOSPC, Full), (errno.EIO, Unreachable)):

        def fail(_: int, number: int = number) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(kind):
            store.put(DATA)
        assert not list((tmp_path / "drafts").iterdir())


def test_a_folder_that_is_gone_is_unreachable(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    (tmp_path / "store/drafts").rmdir()
    (tmp_path / "store").rmdir()
    with pytest.raises(Unreachable):
        store.put(DATA)


def test_a_bucket_that_is_not_there_is_unreachable(bucket: str) -> None:
    with pytest.raises(Unreachable):
        Store.open("s3://another").put(DATA)
