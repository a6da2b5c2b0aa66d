"""Requests that name posted files: tried when they are made, so that no job fails for one later."""

import asyncio
import io
import subprocess
import sys

import httpx
import pytest
import redis
from PIL import Image

from app.core.job_record import artifact_key
from app.core.store import Store, Unreachable
from app.operations.input_checks import KINDS
from tests.app.core.images.test_image_reader import header_only_png
from tests.app.serving import Running
from tests.app.test_artifacts import store
from tests.app.test_generate import URL, error_of
from tests.app.test_owners import ann, bob, keyed  # noqa: F401 (fixtures)
from tests.app.working import Worker


def png(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


PNG = png()


def references(connection: "redis.Redis", sha256: str) -> int:
    return int(connection.hget(artifact_key(sha256), "refs") or 0)


def test_a_posted_picture_can_be_named_and_is_held(
    api: httpx.Client, connection: "redis.Redis"
) -> None:
    sha256 = store(api, PNG)
    answer = api.post(URL, json={"init_image": sha256, "strength": 0.3})
    assert answer.status_code == 202
    assert answer.json()["input"].items() >= {"init_image": sha256, "strength": 0.3}.items()
    assert references(connection, sha256) == 2
    api.delete(answer.headers["location"])
    assert references(connection, sha256) == 1
    assert api.get(f"/artifacts/{sha256}").content == PNG


def test_a_picture_that_a_job_made_can_be_named(running: Running, worker: Worker) -> None:
    sha256 = running.services.store.backend.put(PNG)
    job = running.client.post(URL, json={}).json()["id"]
    worker.claim()
    worker.finish(job, output={"sha256": sha256, "content_type": "image/png", "bytes": len(PNG)})
    assert running.client.post(URL, json={"init_image": sha256}).status_code == 202


def test_an_unknown_picture_is_404_and_an_expired_one_410(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    answer = api.post(URL, json={"init_image": "ab" * 32})
    assert answer.status_code == 404
    assert error_of(answer) == {
        "message": "init_image names no file that you have posted or made",
        "type": "invalid_request_error",
        "param": "init_image",
        "code": "artifact_not_found",
    }
    sha256 = store(api, PNG)
    connection.zadd("atelier:expiry", {f"upload/local/{sha256}": 1})
    worker.sweep()
    answer = api.post(URL, json={"init_image": sha256})
    assert answer.status_code == 410
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (
        "artifact_expired",
        "init_image",
    )


def test_a_picture_that_the_store_lost_is_410(running: Running) -> None:
    sha256 = store(running.client, PNG)
    running.services.store.backend.delete(sha256)
    answer = running.client.post(URL, json={"init_image": sha256})
    assert (answer.status_code, error_of(answer)["param"]) == (410, "init_image")


def test_another_keys_picture_is_not_found(
    ann: httpx.Client,  # noqa: F811
    bob: httpx.Client,  # noqa: F811
) -> None:
    sha256 = store(ann, PNG)
    answer = bob.post(URL, json={"init_image": sha256})
    assert (answer.status_code, error_of(answer)["code"]) == (404, "artifact_not_found")
    assert ann.post(URL, json={"init_image": sha256}).status_code == 202


def test_checks_of_scores_do_not_hold_up_pictures(running: Running) -> None:
    """Each kind of file is checked behind a limit of its own."""
    limits = running.services.store.checks
    assert set(limits) == {*KINDS, "thumbnail"}
    limits["audio/midi"] = asyncio.Semaphore(0)  # as while scores are checked
    sha256 = store(running.client, PNG)
    assert running.client.post(URL, json={"init_image": sha256}).status_code == 202


UNFIT = [
    (PNG[:60], "can't be read: the file is broken or cut short"),
    (header_only_png(60_000, 60_000), "must have at most 16000000 pixels"),
    (header_only_png(5000, 5000), "and has 5000 by 5000"),
    (b"\xff\xd8\xff\xe0 no picture", "init_image"),
    (b"fLaC and some sound", "must be a PNG, JPEG, GIF or WebP image, not audio/flac"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "or WebP image, not image/heic"),
    (b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", "or WebP image, not audio/mp4"),
]


@pytest.mark.parametrize(("data", "message"), UNFIT, ids=range(len(UNFIT)))
def test_a_file_that_is_no_fit_picture_is_refused_at_once(
    api: httpx.Client, connection: "redis.Redis", data: bytes, message: str
) -> None:
    sha256 = store(api, data)
    answer = api.post(URL, json={"init_image": sha256})
    assert answer.status_code == 422
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("invalid_parameter", "init_image")
    assert message in error["message"]
    assert references(connection, sha256) == 1


def test_a_store_that_is_away_is_503(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = store(running.client, PNG)

    def away(self: Store, sha256: str) -> bytes:
        raise Unreachable("the artifact store can't be used")

    monkeypatch.setattr(Store, "get", away)
    answer = running.client.post(URL, json={"init_image": sha256})
    assert (answer.status_code, error_of(answer)["code"]) == (503, "store_unavailable")


def test_a_replay_does_not_need_its_picture_any_more(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    sha256 = store(api, PNG)
    key = {"Idempotency-Key": "with a picture"}
    first = api.post(URL, json={"init_image": sha256}, headers=key)
    worker.claim()
    worker.finish(first.json()["id"])
    connection.zadd("atelier:expiry", {f"upload/local/{sha256}": 1})
    worker.sweep()
    again = api.post(URL, json={"init_image": sha256}, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert references(connection, sha256) == 0


def test_a_walk_is_noted_with_its_rows(api: httpx.Client, connection: "redis.Redis") -> None:
    asked = {"n": 3, "interpolate": {"to_seed": 2, "frames": 9}}
    job = api.post(URL, json=asked).json()
    assert job["input"]["interpolate"] == {"to_seed": 2, "frames": 9}
    assert connection.hmget(f"rq:job:{job['id']}", "items", "rows") == ["3", "9"]


def test_the_api_reads_pictures_without_torch() -> None:
    code = (
        "import io, sys; from PIL import Image\n"
        "from app.core.images.image_reader import read_picture\n"
        "out = io.BytesIO(); Image.new('L', (4, 4)).save(out, 'PNG')\n"
        "assert read_picture(out.getvalue()).size == (4, 4)\n"
        "raise SystemExit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
