"""GET /artifacts/{sha256}?width=N: drawn once, for the file's owners, as long as it is there."""

import hashlib
import io
import time

import httpx
import pytest
import redis
from PIL import Image

from app.core.job_record import artifact_key, thumbnails_key
from app.core.scripts import Scripts
from app.thumbnails import thumbnails
from tests.app.queue.test_jobs import make
from tests.app.serving import Running
from tests.app.test_artifacts import RAW, store
from tests.app.test_generate import error_of
from tests.app.thumbnails.media_files import picture_file, pixels
from tests.app.working import LUA, Worker

PICTURE = picture_file(pixels(100, 50))


@pytest.fixture
def sha256(api: httpx.Client) -> str:
    return store(api, PICTURE)


def refuse_to_draw(*_: object) -> bytes:
    raise AssertionError("it was drawn before")


def test_it_is_drawn_once_and_cached_for_ever(
    api: httpx.Client, sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.get(f"/artifacts/{sha256}?width=64")
    assert first.status_code == 200
    assert first.headers["content-type"] == "image/webp"
    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert first.headers["content-length"] == str(len(first.content))
    assert first.headers["etag"] == f'"{hashlib.sha256(first.content).hexdigest()}"'
    assert Image.open(io.BytesIO(first.content)).size == (64, 32)
    monkeypatch.setattr(thumbnails, "draw_thumbnail", refuse_to_draw)
    again = api.get(f"/artifacts/{sha256}?width=64")
    assert again.content == first.content
    same = api.get(
        f"/artifacts/{sha256}?width=64", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (same.status_code, same.content) == (304, b"")
    head = api.head(f"/artifacts/{sha256}?width=64")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == first.headers["etag"]
    assert api.get(f"/artifacts/{sha256}").content == PICTURE


def test_one_that_the_store_has_lost_is_drawn_again(running: Running, sha256: str) -> None:
    first = running.client.get(f"/artifacts/{sha256}?width=64")
    running.services.store.backend.delete(first.headers["etag"].strip('"'))
    assert running.client.get(f"/artifacts/{sha256}?width=64").content == first.content
    assert running.services.store.backend.exists(first.headers["etag"].strip('"'))


@pytest.mark.parametrize("width", ["100", "0", "-64", "x", "", "64.5"])
def test_other_widths_are_refused(api: httpx.Client, sha256: str, width: str) -> None:
    answer = api.get(f"/artifacts/{sha256}?width={width}")
    assert answer.status_code == 422
    assert error_of(answer)["param"] == "width"


def test_what_can_not_be_shown_is_refused(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    worker.finish(
        job, output={"sha256": "cd" * 32, "content_type": "application/x-npy", "bytes": 9}
    )
    broken = store(api, PICTURE[:200])
    for sha256, reason in (("cd" * 32, "application/x-npy"), (broken, "the file")):
        answer = api.get(f"/artifacts/{sha256}?width=64")
        assert answer.status_code == 422
        assert error_of(answer)["param"] == "width"
        assert reason in str(error_of(answer)["message"])
    connection.hset(artifact_key(broken), "bytes", thumbnails.MOST_BYTES + 1)
    assert api.get(f"/artifacts/{broken}?width=64").status_code == 422


def test_it_is_for_those_who_have_the_file(
    running: Running, sha256: str, connection: "redis.Redis"
) -> None:
    path = f"/artifacts/{sha256}?width=64"
    thumbnail = running.client.get(path).headers["etag"].strip('"')
    assert running.client.get(f"/artifacts/{thumbnail}").status_code == 404
    connection.hdel(artifact_key(sha256), "owner:local")
    assert running.client.get(path).status_code == 404
    connection.hset(artifact_key(sha256), "was:local", 1)
    assert running.client.get(path).status_code == 410
    scripts = Scripts(connection)
    assert not scripts.run("note_thumbnail", "local", sha256, 128, thumbnail, 9)
    assert connection.hkeys(thumbnails_key(sha256)) == ["64"]


def test_it_goes_when_its_file_goes(
    running: Running, sha256: str, connection: "redis.Redis"
) -> None:
    """Two widths of a small picture are the same bytes, and they go with the second picture."""
    api = running.client
    api.get(f"/artifacts/{sha256}?width=64")
    shared = {
        api.get(f"/artifacts/{sha256}?width={width}").headers["etag"].strip('"')
        for width in (128, 256)
    }
    (whole,) = shared
    other = store(api, picture_with_other_bytes())
    assert other != sha256
    assert api.get(f"/artifacts/{other}?width=128").headers["etag"].strip('"') == whole
    stored = running.services.store.backend
    sweep_file(connection, sha256)
    due = connection.zrange("atelier:orphans", "-inf", time.time(), byscore=True)
    assert len(due) == 1
    assert whole not in due
    assert int(connection.hget(artifact_key(whole), "refs") or 0) == 1
    assert not connection.exists(thumbnails_key(sha256))
    sweep_file(connection, other)
    scripts = Scripts(connection, LUA)
    assert scripts.run("doom", whole, "begin")
    assert stored.exists(whole)  # the script says so; deleting is the worker's


def picture_with_other_bytes() -> bytes:
    """The same pixels in another file."""
    out = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).save(out, "PNG", compress_level=0)
    return out.getvalue()


def sweep_file(connection: "redis.Redis", sha256: str) -> None:
    """Let an upload expire, and begin to delete it as a worker does."""
    scripts = Scripts(connection, LUA)
    connection.zadd("atelier:expiry", {f"upload/local/{sha256}": 1})
    scripts.run("sweep", 100, 0, 3600)
    assert scripts.run("doom", sha256, "begin")
    scripts.run("doom", sha256, "done")


def test_an_upload_of_the_same_bytes_is_its_owners(
    running: Running, sha256: str, connection: "redis.Redis"
) -> None:
    drawing = running.client.get(f"/artifacts/{sha256}?width=64").content
    answer = running.client.post("/artifacts", content=drawing, headers=RAW)
    own = answer.json()["sha256"]
    sweep_file(connection, sha256)
    assert running.client.get(f"/artifacts/{own}").content == drawing
    assert not Scripts(connection, LUA).run("doom", own, "begin")
