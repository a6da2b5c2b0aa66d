"""/archives: one ZIP file of many jobs, streamed, with what is needed to make each file again."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
import zipstream.ng

from app.archives import archives, contents
from app.archives.contents import ArchiveContents, ArchiveFile
from app.archives.zip_stream import PIECE, ZipFileStream
from app.core.job_record import job_key
from app.core.store import Missing, Store
from tests.app.queue.test_jobs import make
from tests.app.serving import Running
from tests.app.test_generate import error_of
from tests.app.test_owners import ann, bob, keyed  # noqa: F401 - fixtures
from tests.app.working import Worker

NONE = "job_" + "0" * 26


@pytest.fixture
def finish(running: Running, worker: Worker) -> Callable[..., str]:
    """Ends a job with a stored file, and returns its hash."""

    def finish(job: str, data: bytes, content_type: str = "image/png", **facts: Any) -> str:
        sha256 = running.services.store.backend.put(data)
        output = {"sha256": sha256, "content_type": content_type, "bytes": len(data), **facts}
        worker.finish(job, output=output)
        return sha256

    return finish


def ask(api: httpx.Client, *jobs: str) -> dict[str, Any]:
    answer = api.post("/archives", json={"jobs": jobs})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def fetched(api: httpx.Client, archive: dict[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of an archive, and its `jobs.json`."""
    answer = api.get(archive["url"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-length"] == str(len(answer.content))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        assert opened.testzip() is None
        assert all(info.compress_type == zipfile.ZIP_STORED for info in opened.infolist())
        files = {name: opened.read(name) for name in opened.namelist()}
    return files, json.loads(files.pop("jobs.json"))


def test_an_archive_has_files_and_what_made_them(
    running: Running, worker: Worker, finish: Callable[..., str], connection: "redis.Redis"
) -> None:
    api, (first, second, waiting) = running.client, make(running.client, 3)
    worker.claim()
    finish(first, b"one" * 100)
    sha256 = finish(second, b"# Two\n", "text/markdown; charset=utf-8", role="sheet", text="Two")
    for job in (first, second):
        connection.hset(job_key(job), "created", "1790000000.5")
    archive = ask(api, second, first, waiting)
    assert archive == {
        "id": archive["id"],
        "object": "archive",
        "url": f"/archives/{archive['id']}",
        "files": 2,
        "bytes": 306,
        "missing": 0,
        "expires_at": archive["expires_at"],
    }
    assert abs(archive["expires_at"] - archives.TTL - connection.time()[0]) < 60
    files, document = fetched(api, archive)
    stems = [f"ddpm-fashion-20260921-141320-{job[-8:].lower()}" for job in (first, second)]
    names = [f"{stems[0]}-0.png", f"{stems[1]}-0-sheet.md"]
    assert files == {names[1]: b"# Two\n", names[0]: b"one" * 100}
    two, one, other = document["jobs"]
    assert document["deleted"] == []
    assert [job["id"] for job in document["jobs"]] == [second, first, waiting]
    assert one["input"] == api.get(f"/jobs/{first}").json()["input"]
    assert (one["model"], one["seed"], one["outputs"][0]["file"]) == ("ddpm-fashion", 0, names[0])
    assert (two["outputs"][0]["sha256"], two["outputs"][0]["file"]) == (sha256, names[1])
    assert "text" not in two["outputs"][0]
    assert (other["status"], other["outputs"], other["input_file"]) == ("in_progress", [], None)
    head = api.head(archive["url"])
    assert int(head.headers["content-length"]) > 306
    assert head.headers["content-type"] == "application/zip"
    assert head.headers["content-disposition"].startswith('attachment; filename="atelier-')


def test_what_has_gone_since_is_named(
    running: Running, worker: Worker, finish: Callable[..., str], connection: "redis.Redis"
) -> None:
    api, (expired, deleted, kept) = running.client, make(running.client, 3)
    worker.claim()
    for number, job in enumerate((expired, deleted, kept)):
        finish(job, bytes([number]) * 9)
    archive = ask(api, expired, deleted, kept)
    connection.zadd("atelier:expiry", {expired: 1})
    worker.sweep()
    api.delete(f"/jobs/{deleted}")
    files, document = fetched(api, archive)
    assert list(files.values()) == [bytes([2]) * 9]
    assert document["deleted"] == [deleted]
    gone, there = document["jobs"]
    assert (gone["id"], gone["status"], gone["outputs"][0]["file"]) == (expired, "expired", None)
    assert there["outputs"][0]["file"] in files
    again = ask(api, expired, kept)
    assert (again["files"], again["missing"], again["bytes"]) == (1, 1, 9)


def test_names_are_unique_and_long_inputs_are_files(
    running: Running, worker: Worker, finish: Callable[..., str], connection: "redis.Redis"
) -> None:
    """Two files of one item and role, and a model whose name is no name of a file."""
    api, (job,) = running.client, make(running.client)
    worker.claim()
    sha256 = finish(job, b"abc")
    output = {"index": 0, "seed": 1, "sha256": sha256, "content_type": "image/png", "bytes": 3}
    changed = {
        "outputs": json.dumps([output, output, {**output, "content_type": "x/y"}]),
        "model": "../a b",
        "input_long": '["text"]',
        "input_sha256": sha256,
        "created": "1790000000",
    }
    connection.hset(job_key(job), mapping=changed)
    files, document = fetched(api, ask(api, job))
    stem = f".._a_b-20260921-141320-{job[-8:].lower()}"
    names = [f"{stem}-{rest}" for rest in ("0.png", "0-2.png", "0.bin", "input.json")]
    assert list(files) == names
    record = document["jobs"][0]
    assert [output["file"] for output in record["outputs"]] == names[:3]
    assert (record["input_file"], record["omitted"]) == (names[3], ["input.text"])


def test_a_file_that_the_store_has_lost_is_no_short_archive(
    running: Running, worker: Worker, finish: Callable[..., str]
) -> None:
    """Before the answer begins it is an error; later the connection is cut."""
    api, (first, second) = running.client, make(running.client, 2)
    worker.claim()
    finish(first, b"x" * (PIECE + 1))
    lost = finish(second, b"lost")
    running.services.store.backend.delete(lost)
    with pytest.raises(httpx.RemoteProtocolError):
        api.get(ask(api, first, second)["url"])
    answer = api.get(ask(api, second)["url"])
    assert answer.status_code == 410
    assert error_of(answer)["code"] == "artifact_expired"


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        ({}, "jobs", 422),
        ({"jobs": []}, "jobs", 422),
        ({"jobs": [NONE] * 1001}, "jobs", 422),
        ({"jobs": "all"}, "jobs", 422),
        ({"jobs": [3]}, "jobs.0", 422),
        ({"jobs": [NONE], "name": "x"}, "name", 422),
        ({"jobs": ["JOB", "x" * 101]}, "jobs.1", 422),
        ({"jobs": ["JOB", "JOB"]}, "jobs.1", 422),
        ({"jobs": ["JOB", NONE]}, "jobs.1", 404),
        ({"jobs": ["JOB", "../x"]}, "jobs.1", 404),
    ],
)
def test_a_bad_request_names_the_field(
    api: httpx.Client, body: dict[str, Any], param: str, status: int
) -> None:
    (job,) = make(api)
    text = json.dumps(body).replace('"JOB"', f'"{job}"')
    answer = api.post("/archives", content=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, error_of(answer)["param"]) == (status, param)


def test_an_archive_has_a_largest_number_of_files(
    api: httpx.Client, worker: Worker, finish: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make(api, 2)
    worker.claim()
    for job in jobs:
        finish(job, b"abc")
    monkeypatch.setattr(contents, "MOST_FILES", 1)
    answer = api.post("/archives", json={"jobs": jobs})
    assert (answer.status_code, error_of(answer)["param"]) == (422, "jobs")


def test_an_archive_ends_and_a_key_has_a_largest_number(
    api: httpx.Client, connection: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make(api)
    monkeypatch.setattr(archives, "MOST_ARCHIVES", 1)
    archive = ask(api, job)
    full = api.post("/archives", json={"jobs": [job]})
    assert (full.status_code, error_of(full)["code"]) == (429, "too_many_archives")
    assert 0 < int(full.headers["retry-after"]) <= archives.TTL
    assert 0 < connection.ttl(f"atelier:archive:local:{archive['id']}") <= archives.TTL
    connection.delete(f"atelier:archive:local:{archive['id']}")  # as when its time is over
    for path in (archive["url"], "/archives/nope", "/archives/archive_" + "0" * 16):
        answer = api.get(path)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "archive_not_found")
    connection.zadd("atelier:archives:local", {archive["id"]: 1})
    ask(api, job)


def test_an_archive_is_its_owners(ann: httpx.Client, bob: httpx.Client) -> None:  # noqa: F811
    (job,) = make(ann)
    assert error_of(bob.post("/archives", json={"jobs": [job]}))["param"] == "jobs.0"
    archive = ask(ann, job)
    assert bob.get(archive["url"]).status_code == 404
    assert ann.get(archive["url"]).status_code == 200


class Zeros(Store):
    """Files of zeros: a name says by its last digits how many MiB there are."""

    def __init__(self) -> None:
        self.reads = 0

    def _size(self, name: str) -> int:
        return int(name[-8:]) * 2**20

    def _read(self, name: str, start: int, length: int) -> bytes:
        self.reads += 1
        return bytes(length)

    def _write(self, name: str, file: io.BytesIO, size: int) -> None: ...  # type: ignore[override]

    def _remove(self, name: str) -> None: ...

    def _page(self, after: str) -> list[tuple[str, float]]:
        return []


def zeros(mebibytes: int, name: str) -> ArchiveFile:
    return ArchiveFile(name, f"{mebibytes:064d}", mebibytes * 2**20)


def test_files_are_read_as_they_are_sent() -> None:
    """No more than a piece of a file is in memory."""
    store = Zeros()
    stream = ZipFileStream(store, ArchiveContents(files=[zeros(64, "a"), zeros(1, "b")]))
    assert store.reads == 0
    for number, piece in enumerate(stream):
        assert store.reads <= number + 1
        assert len(piece) < 2**21
    assert store.reads == 65


def test_large_archives_are_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    """As beyond 4 GiB, with a limit that is reached sooner."""
    monkeypatch.setattr(zipstream.ng, "ZIP64_LIMIT", 2**20)
    files = [zeros(3, "large"), zeros(1, "after"), zeros(0, "empty")]
    stream = ZipFileStream(Zeros(), ArchiveContents(files=files))
    data = b"".join(stream)
    assert len(data) == stream.length
    assert b"PK\x06\x06" in data  # the end of a central directory in ZIP64
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        assert [opened.getinfo(file.name).file_size for file in files] == [3 * 2**20, 2**20, 0]


def test_a_file_of_another_size_is_an_error() -> None:
    wrong = ArchiveFile("a", f"{1:064d}", 5)
    with pytest.raises(RuntimeError, match="size"):
        list(ZipFileStream(Zeros(), ArchiveContents(files=[wrong])))


def test_a_missing_file_ends_the_stream() -> None:
    class Lossy(Zeros):
        def _read(self, name: str, start: int, length: int) -> bytes:
            raise Missing("no such artifact")

    pieces: Iterator[bytes] = iter(ZipFileStream(Lossy(), ArchiveContents(files=[zeros(1, "a")])))
    with pytest.raises(Missing):
        list(pieces)
