"""/artifacts: what clients bring and what jobs made, whole and in parts, each to its owner."""

import errno
import hashlib
import socket
from typing import BinaryIO

import httpx
import pytest
import redis
from starlette.datastructures import UploadFile

from app.core.job_record import artifact_key
from app.core.settings import Settings
from app.core.store import Full, Store
from app.files.downloads import PIECE
from app.files.uploads import SIGNS, sniff
from tests.app.queue.test_jobs import BAD_IDS, make
from tests.app.serving import Running, eventually, serving
from tests.app.test_generate import error_of
from tests.app.working import Worker

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
RAW = {"Content-Type": "application/octet-stream"}


def store(api: httpx.Client, data: bytes = PNG) -> str:
    answer = api.post("/artifacts", content=data, headers=RAW)
    assert answer.status_code == 201
    return str(answer.json()["sha256"])


def test_raw_bytes_and_forms_are_stored_alike(api: httpx.Client) -> None:
    raw = api.post("/artifacts", content=PNG, headers={"Content-Type": "image/png"})
    form = api.post("/artifacts", files={"file": ("a.txt", PNG, "text/plain")})
    sha = hashlib.sha256(PNG).hexdigest()
    assert raw.json() == {"sha256": sha, "content_type": "image/png", "bytes": len(PNG)}
    assert (raw.status_code, form.status_code) == (201, 201)
    assert form.json() == raw.json()


def test_bytes_are_known_by_what_they_are() -> None:
    for offset, sign, kind in SIGNS:
        start = b"RIFF\0\0\0\0" if offset == 8 else bytes(offset)
        assert sniff(start + sign + b"rest") == kind
    assert sniff(b"\xff\xfb\x90\x00") == "audio/mpeg"


def iso(first: bytes, *others: bytes) -> bytes:
    brands = first + bytes(4) + b"".join(others)
    return (8 + len(brands)).to_bytes(4) + b"ftyp" + brands + b"mdat, at last"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (iso(b"heic", b"mif1", b"heic"), "image/heic"),
        (iso(b"mif1", b"heic"), "image/heic"),
        (iso(b"mif1", b"avif", b"miaf"), "image/avif"),
        (iso(b"avif", b"mif1"), "image/avif"),
        (iso(b"mif1"), "image/heif"),
        (iso(b"msf1", b"hevc"), "image/heic"),
        (iso(b"M4A ", b"mp42", b"isom"), "audio/mp4"),
        (iso(b"M4B "), "audio/mp4"),
        (iso(b"qt  "), "video/quicktime"),
        (iso(b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4"),
        (iso(b"mp42", b"M4A "), "video/mp4"),
        (b"\xff\xff\xff\xffftypmif1", "image/heif"),
        (b"\x00\x00\x00\x00ftyp", "video/mp4"),
    ],
)
def test_iso_media_files_are_known_by_what_they_call_themselves(data: bytes, kind: str) -> None:
    assert sniff(data) == kind


@pytest.mark.parametrize("data", [b"<html>", b"\x00" * 8 + b"WEBP", b"%PDF-1.7", b"MZ", b"\xff"])
def test_other_kinds_are_refused(api: httpx.Client, data: bytes) -> None:
    answer = api.post("/artifacts", content=data, headers=RAW)
    assert answer.status_code == 415
    assert error_of(answer)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("kind", [None, "text/html", "application/json", "application/x-www-form"])
def test_a_body_must_say_that_it_is_a_file(api: httpx.Client, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert api.post("/artifacts", content=PNG, headers=headers).status_code == 415


def test_a_form_has_one_file_named_file(api: httpx.Client) -> None:
    for fields, code in (
        ({"picture": ("a", PNG)}, "unknown_parameter"),
        ({"file": (None, b"text")}, "missing_parameter"),
        ({"file": ("a", b"")}, "missing_parameter"),
    ):
        answer = api.post("/artifacts", files=fields)  # type: ignore[arg-type]
        assert answer.status_code == 422
        assert error_of(answer)["code"] == code
    for headers in (
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    ):
        answer = api.post("/artifacts", content=b"--y\r\n", headers=headers)
        assert answer.status_code in (400, 422)
        error_of(answer)


def test_an_empty_body_is_a_missing_file(api: httpx.Client) -> None:
    answer = api.post("/artifacts", content=b"", headers=RAW)
    assert (answer.status_code, error_of(answer)["param"]) == (422, "file")


def test_an_upload_has_a_largest_size(api: httpx.Client) -> None:
    at_most = 200_000
    data = PNG + bytes(at_most)
    assert api.post("/artifacts", content=data[:at_most], headers=RAW).status_code == 201
    for answer in (
        api.post("/artifacts", content=data[: at_most + 1], headers=RAW),
        api.post("/artifacts", files={"file": data[: at_most + 1]}),
        api.post("/artifacts", content=bytes(400_000), headers=RAW),
        api.post("/artifacts", content=iter([data] * 3), headers=RAW),
    ):
        assert answer.status_code == 413
        assert error_of(answer)["code"] == "payload_too_large"


@pytest.mark.parametrize("path", ["/artifacts", "/v1/videos"])
def test_all_uploads_together_have_a_largest_size(settings: Settings, path: str) -> None:
    """One that is on its way takes the room that it says it needs, until it has left."""
    form = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 150000\r\n"
    head += "Content-Type: multipart/form-data; boundary=B\r\n\r\n"
    with serving(settings.model_copy(update={"max_uploads": 200_000})) as running:
        api, space = running.client, running.services.store.upload_space
        host, _, port = running.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as slow:
            slow.sendall(head.encode() + form)
            assert eventually(lambda: space.free == 50_000)
            for answer in (
                api.post("/artifacts", content=PNG + bytes(60_000), headers=RAW),
                api.post("/artifacts", files={"file": PNG + bytes(60_000)}),
                api.post("/artifacts", content=iter([PNG]), headers=RAW),  # it says no length
                api.post("/v1/videos", files={"input_reference": PNG + bytes(60_000)}),
            ):
                assert (answer.status_code, error_of(answer)["code"]) == (503, "too_many_uploads")
                assert answer.headers["retry-after"] == "5"
            assert api.post("/artifacts", content=PNG, headers=RAW).status_code == 201
        assert eventually(lambda: space.free == 200_000)
        assert api.post("/artifacts", content=iter([PNG]), headers=RAW).status_code == 201


def test_a_disk_that_is_full_is_503(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: UploadFile, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(UploadFile, "write", full)
    for answer in (
        api.post("/artifacts", content=PNG, headers=RAW),
        api.post("/artifacts", files={"file": PNG}),
    ):
        assert (answer.status_code, error_of(answer)["code"]) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "5"


def test_bytes_come_back_with_all_that_is_known(api: httpx.Client) -> None:
    sha = store(api)
    answer = api.get(f"/artifacts/{sha}")
    assert (answer.status_code, answer.content) == (200, PNG)
    fields = {
        "etag": f'"{sha}"',
        "accept-ranges": "bytes",
        "content-type": "image/png",
        "content-length": str(len(PNG)),
        "content-disposition": f'inline; filename="{sha[:16]}.png"',
        "cache-control": "private, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
    }
    assert fields.items() <= dict(answer.headers).items()
    head = api.head(f"/artifacts/{sha}")
    assert (head.status_code, head.content) == (200, b"")
    assert fields.items() <= dict(head.headers).items()


def test_large_files_come_in_pieces(api: httpx.Client) -> None:
    data = PNG + bytes(200_000 - len(PNG))
    assert 2 * len(data) > PIECE
    assert api.get(f"/artifacts/{store(api, data)}").content == data


def test_what_the_client_has_is_304(api: httpx.Client) -> None:
    sha = store(api)
    for etags in (f'"{sha}"', f'W/"{sha}"', "*"):
        answer = api.get(f"/artifacts/{sha}", headers={"If-None-Match": etags})
        assert (answer.status_code, answer.content) == (304, b"")


END = len(PNG)
PARTS = [
    ("bytes=0-0", 206, PNG[:1]),
    ("bytes=10-19", 206, PNG[10:20]),
    ("bytes=10-", 206, PNG[10:]),
    ("bytes=-10", 206, PNG[-10:]),
    (f"bytes=5-{END + 100}", 206, PNG[5:]),
    (f"bytes=-{END + 100}", 200, PNG),
    ("bytes=0-", 200, PNG),
    ("bytes=9-3", 200, PNG),
    ("bytes=0-1,4-5", 200, PNG),
    ("bytes=-", 200, PNG),
    ("chars=0-1", 200, PNG),
    ("bytes=a-b", 200, PNG),
    ("bytes=" + "9" * 40 + "-", 200, PNG),
    (f"bytes={END}-", 416, None),
    ("bytes=-0", 416, None),
]


@pytest.mark.parametrize(("wanted", "status", "content"), PARTS)
def test_a_part_can_be_asked_for(
    api: httpx.Client, wanted: str, status: int, content: bytes | None
) -> None:
    answer = api.get(f"/artifacts/{store(api)}", headers={"Range": wanted})
    assert answer.status_code == status
    if content is not None:
        assert answer.content == content
        assert answer.headers["content-length"] == str(len(content))
    if status == 206:
        assert answer.headers["content-range"].endswith(f"/{END}")
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{END}"
        assert error_of(answer)["param"] == "Range"


def test_a_part_of_another_version_is_the_whole(api: httpx.Client) -> None:
    sha = store(api)
    for condition, status in ((f'"{sha}"', 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-1", "If-Range": condition}
        assert api.get(f"/artifacts/{sha}", headers=headers).status_code == status


def test_a_name_that_is_no_hash_is_not_found(running: Running) -> None:
    for name in [*BAD_IDS, "a" * 63, "A" * 64, "f" * 64, "drafts"]:
        answer = running.client.get(f"/artifacts/{name}")
        assert answer.status_code == 404, name
        assert error_of(answer)["code"] in ("artifact_not_found", "not_found")


@pytest.fixture
def job_output(running: Running, worker: Worker) -> tuple[str, str]:
    """A job that made a picture: its id, and the hash."""
    sha = running.services.store.backend.put(PNG + b"made")
    (job,) = make(running.client)
    worker.claim()
    facts = {"sha256": sha, "content_type": "image/png", "bytes": len(PNG) + 4}
    worker.finish(job, output=facts)
    return job, sha


def test_what_a_job_made_can_be_read(api: httpx.Client, job_output: tuple[str, str]) -> None:
    job, sha = job_output
    (output,) = api.get(f"/jobs/{job}").json()["outputs"]
    assert output["url"] == f"/artifacts/{sha}"
    assert api.get(output["url"]).content == PNG + b"made"


def test_what_has_expired_is_gone_and_not_unknown(
    api: httpx.Client, job_output: tuple[str, str], worker: Worker, connection: "redis.Redis"
) -> None:
    job, sha = job_output
    connection.zadd("atelier:expiry", {job: 1})
    worker.sweep()
    assert api.get(f"/jobs/{job}").json()["status"] == "expired"
    answer = api.get(f"/artifacts/{sha}")
    assert (answer.status_code, error_of(answer)["code"]) == (410, "artifact_expired")


def test_deleting_a_job_lets_go_of_what_it_made(
    api: httpx.Client, job_output: tuple[str, str]
) -> None:
    job, sha = job_output
    api.delete(f"/jobs/{job}")
    assert api.get(f"/artifacts/{sha}").status_code == 410


def test_bytes_that_the_store_lost_are_gone(running: Running) -> None:
    sha = store(running.client)
    running.services.store.backend.delete(sha)
    assert running.client.get(f"/artifacts/{sha}").status_code == 410


def test_bytes_posted_while_they_are_deleted_wait_for_that(
    api: httpx.Client, connection: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.files.uploads.PATIENCE", 0.1)
    sha = hashlib.sha256(PNG).hexdigest()
    connection.zadd("atelier:deleting", {sha: connection.time()[0]})
    answer = api.post("/artifacts", content=PNG, headers=RAW)
    assert (answer.status_code, error_of(answer)["code"]) == (503, "store_unavailable")
    connection.zadd("atelier:deleting", {sha: 1})  # whoever began is long dead
    store(api)


def test_a_store_that_is_full_is_503_and_nothing_is_noted(
    running: Running, connection: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Store, file: BinaryIO) -> str:
        raise Full("the artifact store is full")

    monkeypatch.setattr(type(running.services.store.backend), "put_file", full)
    answer = running.client.post("/artifacts", content=PNG, headers=RAW)
    assert (answer.status_code, error_of(answer)["code"]) == (503, "store_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert not connection.exists(artifact_key(hashlib.sha256(PNG).hexdigest()))
