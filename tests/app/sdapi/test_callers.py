"""AUTOMATIC1111's API: keys, and clients that leave or ask again. The worker has no model."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from app.core.settings import Settings
from app.operations import retries
from tests.app.serving import Running, eventually, serving
from tests.app.test_openai_waiting import end, first, meanwhile, notes, picture, statuses
from tests.app.working import Worker
from tests.conftest import MODEL

V1 = "/sdapi/v1"
MADE_BY = (f"{V1}/txt2img", f"{V1}/img2img")
BODY: dict[str, Any] = {
    "prompt": "",
    "init_images": [base64.b64encode(picture()).decode()],
    "override_settings": {"sd_model_checkpoint": MODEL},
}


@pytest.fixture
def sdapi(settings: Settings) -> Iterator[Running]:
    with serving(settings.model_copy(update={"sdapi": True})) as running:
        yield running


def leave(sdapi: Running, path: str, **options: Any) -> None:
    """Ask, and go before the answer, when the job is there."""
    before = len(statuses(sdapi))
    with pytest.raises(httpx.ReadTimeout):
        sdapi.client.post(path, json=BODY, timeout=0.5, **options)
    assert eventually(lambda: len(statuses(sdapi)) == before + 1)
    assert eventually(lambda: sdapi.services.notifier.listeners <= 1)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_key_is_the_password_of_basic_authentication(running: Running, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    lines = [f"{n} {hashlib.sha256(f'{n}-key'.encode()).hexdigest()}" for n in ("ann", "bob")]
    file.write_text("\n".join(lines))
    settings = running.services.settings.model_copy(update={"sdapi": True, "keys_file": file})
    with serving(settings) as keyed:
        get, post = keyed.client.get, keyed.client.post
        for headers in ({}, basic("ann", "nope"), {"Authorization": "Basic ?"}):
            answer = get(f"{V1}/options", headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"] == "invalid_api_key"
        for headers in (basic("any", "ann-key"), {"Authorization": "Bearer ann-key"}):
            assert get(f"{V1}/sd-models", headers=headers).status_code == 200
        # the choice of a model, and the job, are each key's own
        chosen = {"sd_model_checkpoint": MODEL}
        assert post(f"{V1}/options", json=chosen, headers=basic("a", "ann-key")).is_success
        request = {"prompt": "", "override_settings": chosen}
        headers = {**basic("a", "ann-key"), "Idempotency-Key": "kept"}
        with pytest.raises(httpx.ReadTimeout):
            post(f"{V1}/txt2img", json=request, headers=headers, timeout=0.5)
        mine = get(f"{V1}/progress", headers=basic("a", "ann-key")).json()
        assert mine["state"]["job_count"] == 1
        theirs = get(f"{V1}/progress", headers=basic("b", "bob-key")).json()
        assert theirs["state"]["job_count"] == 0
        other = post(f"{V1}/interrupt", headers=basic("b", "bob-key"))
        assert "x-job-id" not in other.headers
        (job,) = get("/jobs", headers={"Authorization": "Bearer ann-key"}).json()["data"]
        assert job["status"] == "queued"


@pytest.mark.parametrize("path", MADE_BY)
def test_a_client_that_leaves_has_its_job_canceled(
    sdapi: Running, path: str, connection: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "GRACE", 0.2)
    leave(sdapi, path)
    assert eventually(lambda: statuses(sdapi) == ["canceled"])
    assert eventually(lambda: not notes(connection))


def waiting(connection: "redis.Redis") -> list[str]:
    """How many requests wait on each token."""
    tallies: list[Any] = [connection.hvals(n) for n in connection.scan_iter("atelier:attended:*")]
    return sorted(count for counts in tallies for count in counts)


@pytest.mark.parametrize("path", MADE_BY)
def test_who_asks_again_gets_the_job_that_was_left(
    sdapi: Running, worker: Worker, connection: "redis.Redis", path: str
) -> None:
    leave(sdapi, path)
    assert eventually(lambda: waiting(connection) == ["0"])
    with meanwhile(lambda: end(sdapi, worker, first(worker))):
        answer = sdapi.client.post(path, json=BODY)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    assert statuses(sdapi) == ["completed"]
    assert eventually(lambda: not notes(connection))


def test_two_who_wait_at_the_same_time_have_a_job_each(sdapi: Running, worker: Worker) -> None:
    def ask() -> str:
        return sdapi.client.post(MADE_BY[0], json=BODY).headers["x-job-id"]

    jobs: list[str] = []
    with meanwhile(ask) as one, meanwhile(ask) as other:
        assert eventually(lambda: jobs.extend(worker.claim()) or len(jobs) == 2)
        for job in jobs:
            end(sdapi, worker, job)
    assert one.result() != other.result()


def test_who_interrupted_a_job_gets_another(
    sdapi: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    leave(sdapi, MADE_BY[0])
    assert eventually(lambda: waiting(connection) == ["0"])
    assert sdapi.client.post(f"{V1}/interrupt").headers["x-job-id"]
    with meanwhile(lambda: end(sdapi, worker, first(worker))):
        answer = sdapi.client.post(MADE_BY[0], json=BODY)
    assert "idempotent-replayed" not in answer.headers
    assert statuses(sdapi) == ["canceled", "completed"]


def test_another_choice_of_the_model_is_another_request(sdapi: Running, worker: Worker) -> None:
    """The body does not name the model, and yet it is not the same request."""
    body = {"prompt": ""}
    headers = {"Idempotency-Key": "mine"}
    choose = {"sd_model_checkpoint": MODEL}
    assert sdapi.client.post(f"{V1}/options", json=choose).is_success
    with meanwhile(lambda: end(sdapi, worker, first(worker))):
        answer = sdapi.client.post(MADE_BY[0], json=body, headers=headers)
    assert answer.status_code == 200
    again = sdapi.client.post(MADE_BY[0], json=body, headers=headers)
    assert again.headers["x-job-id"] == answer.headers["x-job-id"]
    named = {**body, "override_settings": choose}
    other = sdapi.client.post(MADE_BY[0], json=named, headers=headers)
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reuse")


@pytest.mark.parametrize("path", MADE_BY)
def test_a_key_keeps_a_job_whose_client_has_left(sdapi: Running, worker: Worker, path: str) -> None:
    key = {"Idempotency-Key": "mine"}
    leave(sdapi, path, headers=key)
    with meanwhile(lambda: end(sdapi, worker, first(worker))):
        answer = sdapi.client.post(path, json=BODY, headers=key)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    other = sdapi.client.post(path, json={**BODY, "seed": 1}, headers=key)
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reuse")
    assert statuses(sdapi) == ["completed"]


@pytest.mark.parametrize("path", MADE_BY)
def test_a_job_that_failed_is_an_error_in_the_dialect(
    sdapi: Running, worker: Worker, path: str
) -> None:
    with meanwhile(lambda: worker.finish(first(worker), "failed")):
        answer = sdapi.client.post(path, json=BODY)
    assert (answer.status_code, answer.json()["error"]) == (500, "out_of_memory")
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert answer.headers["x-job-id"]


def routes(sdapi: Running) -> list[tuple[str, str]]:
    """Every route of the dialect, by method and path."""
    paths = sdapi.client.get("/openapi.json").json()["paths"]
    own = {path: operations for path, operations in paths.items() if "/sdapi/" in path}
    own["/queue/status"] = paths["/queue/status"]
    return [(method, path) for path, operations in own.items() for method in operations]


def test_every_route_needs_a_key_and_says_so_in_the_dialect(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"ann {hashlib.sha256(b'ann-key').hexdigest()}")
    update = {"sdapi": True, "keys_file": file}
    with serving(settings.model_copy(update=update)) as keyed:
        listed = routes(keyed)
        assert len(listed) > 20
        for method, path in listed:
            answer = keyed.client.request(method, path)
            assert answer.status_code == 401, path
            assert answer.json()["error"] == "invalid_api_key"
            assert set(answer.json()) == {"error", "detail", "body", "errors"}


def test_every_route_that_takes_a_body_refuses_a_bad_one_in_the_dialect(sdapi: Running) -> None:
    paths = ("txt2img", "img2img", "options", "png-info")
    for path in paths:
        for content in (b"{", b"[]", b'{"a": NaN}'):
            headers = {"Content-Type": "application/json"}
            answer = sdapi.client.post(f"{V1}/{path}", content=content, headers=headers)
            assert answer.status_code in (400, 422), (path, content)
            assert set(answer.json()) == {"error", "detail", "body", "errors"}


def test_what_no_route_refuses_is_in_the_dialect_too(settings: Settings) -> None:
    """A path and a method that are not there, a page of another site, and a large body."""
    update = {"sdapi": True, "max_body": 1000, "max_upload": 1000}
    with serving(settings.model_copy(update=update)) as small:
        api = small.client
        answers = [
            api.get(f"{V1}/none"),
            api.get(f"{V1}/txt2img"),
            api.get(f"{V1}/options", headers={"Origin": "https://elsewhere.example"}),
            api.post(f"{V1}/txt2img", json={"prompt": "a" * 2000}),
            api.get(f"{V1}/options", headers={"Host": "elsewhere.example"}),
        ]
    assert [answer.status_code for answer in answers] == [404, 405, 403, 413, 421]
    for answer in answers:
        assert set(answer.json()) == {"error", "detail", "body", "errors"}
        assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_queue_that_is_away_is_an_error_in_the_dialect(
    settings: Settings, tmp_path: Path
) -> None:
    update = {"sdapi": True, "redis_url": f"unix://{tmp_path}/none.sock"}
    with serving(settings.model_copy(update=update)) as away:
        for method, path, body in (
            ("GET", "/options", None),
            ("GET", "/progress", None),
            ("POST", "/interrupt", {}),
            ("POST", "/options", {"sd_model_checkpoint": MODEL}),
            ("POST", "/txt2img", BODY),
            ("POST", "/img2img", BODY),
        ):
            answer = away.client.request(method, V1 + path, json=body)
            assert (answer.status_code, answer.json()["error"]) == (503, "queue_unavailable"), path
            assert answer.headers["retry-after"]
