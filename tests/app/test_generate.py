"""POST /generate/image: what is accepted, what is refused, and how it is told."""

import json
import threading
import time
from typing import Any

import httpx
import pytest
import redis

from app.core.settings import Settings
from app.operations.submit import preferred_wait
from tests.app.serving import Running, eventually, serving
from tests.app.working import Worker
from tests.conftest import MODEL

URL = "/generate/image"
JSON = {"Content-Type": "application/json"}


def error_of(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


def test_a_request_becomes_a_job(api: httpx.Client, connection: "redis.Redis") -> None:
    answer = api.post(URL, json={"model": MODEL, "n": 2, "seed": 7, "metadata": {"mine": "yes"}})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/jobs/{job['id']}" == job["urls"]["self"]
    assert answer.headers["retry-after"] == "1"
    common = {"n": 2, "seed": 7, "output_format": "png", "grid": False, "output_size": None}
    nothing = {"interpolate": None, "init_image": None, "strength": None}
    assert job["input"] == {"temperature": 1.0, **nothing, **common}
    assert (job["status"], job["seed"], job["metadata"]) == ("queued", 7, {"mine": "yes"})
    record = connection.hgetall(f"rq:job:{job['id']}")
    assert (record["owner"], record["items"], record["status"]) == ("local", "2", "queued")
    assert api.get(f"/jobs/{job['id']}").json() == job


def test_a_model_is_the_default_and_a_seed_is_chosen(api: httpx.Client) -> None:
    first, second = (api.post(URL, json={}).json() for _ in range(2))
    assert first["model"] == MODEL
    assert first["seed"] == first["input"]["seed"] != second["seed"]
    assert 0 <= first["seed"] < 2**53


def test_a_whole_number_may_be_written_with_a_point(api: httpx.Client) -> None:
    """JSON Schema's integers include 51.0, and clients that follow it send them."""
    body = b'{"n": 2.0, "seed": 5.1e1, "temperature": 1.0, "interpolate": null}'
    job = api.post(URL, content=body, headers={"Content-Type": "application/json"}).json()
    assert (job["seed"], job["input"]["n"], job["input"]["temperature"]) == (51, 2, 1.0)
    deep = {"interpolate": {"to_seed": 8.0, "frames": 4.0}}
    assert api.post(URL, json=deep).json()["input"]["interpolate"]["to_seed"] == 8


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"n": 0}, "n", "invalid_parameter", "n must be between 1 and 64"),
    ({"n": 65}, "n", "invalid_parameter", "n must be between 1 and 64"),
    ({"n": "4"}, "n", "invalid_parameter", "n must be a whole number"),
    ({"n": True}, "n", "invalid_parameter", "n must be a whole number"),
    ({"n": 1.5}, "n", "invalid_parameter", "n must be a whole number"),
    ({"n": None}, "n", "invalid_parameter", "n must be a whole number"),
    ({"seed": 1.5}, "seed", "invalid_parameter", "seed must be a whole number"),
    ({"seed": -1}, "seed", "invalid_parameter", "seed must be between 0 and 9007199254740991"),
    ({"seed": 2**53}, "seed", "invalid_parameter", "between 0 and 9007199254740991"),
    ({"seed": 10**400}, "seed", "invalid_parameter", "seed must be"),
    ({"temperature": 3}, "temperature", "invalid_parameter", "between 0.0 and 2.0"),
    ({"temperature": "1"}, "temperature", "invalid_parameter", "temperature must be a number"),
    ({"temperature": True}, "temperature", "invalid_parameter", "temperature must be a number"),
    (
        {"output_format": "bmp"},
        "output_format",
        "invalid_parameter",
        "one of 'png', 'webp', 'jpeg'",
    ),
    ({"steps": 5}, "steps", "unknown_parameter", "steps is not a parameter here; known"),
    ({"model": 5}, "model", "invalid_parameter", "model must be a string"),
    ({"model": None}, "model", "invalid_parameter", "model must be a string"),
    ({"metadata": {"a": 1}}, "metadata.a", "invalid_parameter", "must be a string"),
    ({"metadata": {"a": "x" * 513}}, "metadata.a", "invalid_parameter", "at most 512 characters"),
    ({"metadata": {"k" * 65: ""}}, "metadata." + "k" * 65, "invalid_parameter", "64 characters"),
    ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "invalid_parameter", "16 entries"),
    ({"metadata": []}, "metadata", "invalid_parameter", "metadata must be an object"),
]


@pytest.mark.parametrize(("body", "param", "code", "message"), REFUSED)
def test_a_bad_field_is_named(
    running: Running, body: dict[str, Any], param: str, code: str, message: str
) -> None:
    answer = running.client.post(URL, json=body)
    error = error_of(answer)
    assert answer.status_code == 422
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert message in error["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("model", ["nope", "../etc/passwd", "\x00", "é" * 10, "", "a" * 5000])
def test_an_unknown_model_tells_the_known_ones(api: httpx.Client, model: str) -> None:
    answer = api.post(URL, json={"model": model})
    error = error_of(answer)
    assert answer.status_code == 404
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert MODEL in error["message"]


BROKEN = [
    b"",
    b"{",
    b"nonsense",
    b'{"n": NaN}',
    b'{"temperature": Infinity}',
    b'{"temperature": -Infinity}',
    b'{"metadata": {"a": "\\ud800"}}',
    b'{"metadata": {"a": "\xff"}}',
    b"[1, 2]",
    b'"text"',
    b"null",
    b"[" * 50_000,
    b'{"metadata":' * 5_000,
    b'{"n": ' + b"9" * 20_000 + b"}",
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_json_object_is_refused(api: httpx.Client, body: bytes) -> None:
    answer = api.post(URL, content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert error_of(answer)["code"] == "invalid_parameter"


def test_nul_in_text_is_text(api: httpx.Client) -> None:
    answer = api.post(URL, json={"metadata": {"a\x00b": "c\x00d"}})
    assert answer.status_code == 202
    assert api.get(answer.headers["location"]).json()["metadata"] == {"a\x00b": "c\x00d"}


@pytest.mark.parametrize("kind", [None, "text/plain", "multipart/form-data", "application/jsonx"])
def test_a_body_must_say_that_it_is_json(api: httpx.Client, kind: str | None) -> None:
    answer = api.post(URL, content=b"{}", headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 415
    assert error_of(answer)["code"] == "unsupported_media_type"


def test_json_may_have_a_charset_and_a_suffix(api: httpx.Client) -> None:
    for kind in ("application/json; charset=utf-8", "application/vnd.mine+json"):
        assert api.post(URL, content=b"{}", headers={"Content-Type": kind}).status_code == 202


def test_the_same_key_and_body_make_one_job(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "k1"}
    first = api.post(URL, json={"n": 1, "seed": None}, headers=key)
    again = api.post(URL, content=b'{"seed":null,  "n":1}', headers=key | JSON)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert first.json()["seed"] == again.json()["seed"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = api.post(URL, json={"n": 2}, headers=key)
    assert other.status_code == 422
    assert error_of(other)["code"] == "idempotency_key_reuse"


def test_an_idempotency_key_has_1_to_255_characters(api: httpx.Client) -> None:
    assert api.post(URL, json={}, headers={"Idempotency-Key": "k" * 255}).status_code == 202
    for key in ("", "k" * 256):
        answer = api.post(URL, json={}, headers={"Idempotency-Key": key})
        assert answer.status_code == 422
        assert error_of(answer)["param"] == "Idempotency-Key"


def test_a_full_queue_says_when_to_come_back(settings: Settings) -> None:
    with serving(settings.model_copy(update={"queue_limit": 2})) as running:
        statuses = [running.client.post(URL, json={}).status_code for _ in range(2)]
        answer = running.client.post(URL, json={})
    assert statuses == [202, 202]
    assert answer.status_code == 429
    assert error_of(answer)["code"] == "queue_full"
    assert int(answer.headers["retry-after"]) >= 1
    assert "x-should-retry" not in answer.headers


PREFERENCES = [
    ([], None),
    (["wait=10"], 10),
    (["respond-async"], None),
    (["respond-async, wait=5"], 5),
    (["WAIT = 3"], 3),
    (['wait="7"'], 7),
    (["foo; bar", "wait=0; x=y"], 0),
    (["wait=61"], None),
    (["wait=-1"], None),
    (["wait=ten"], None),
    (["wait"], None),
    (["wait=1.5"], None),
    (["wait=99999999999"], None),
]


@pytest.mark.parametrize(("headers", "seconds"), PREFERENCES)
def test_only_a_well_formed_preference_counts(headers: list[str], seconds: int | None) -> None:
    assert preferred_wait(headers) == seconds


def test_a_client_that_waits_gets_the_ended_job(running: Running, worker: Worker) -> None:
    def work() -> None:
        eventually(worker.claim)
        worker.finish(next(iter(worker.running)))

    thread = threading.Thread(target=work)
    thread.start()
    answer = running.client.post(URL, json={}, headers={"Prefer": "wait=20"})
    thread.join()
    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["location"] == answer.json()["urls"]["self"]


@pytest.mark.slow
def test_a_client_that_waited_in_vain_gets_the_job_as_it_is(running: Running) -> None:
    started = time.monotonic()
    answer = running.client.post(URL, json={}, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers
    assert answer.json()["status"] == "queued"
    assert time.monotonic() - started >= 1
    assert running.services.notifier.listeners == 0


def test_a_client_that_leaves_while_it_waits_frees_everything(running: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        running.client.post(URL, json={}, headers={"Prefer": "wait=60"}, timeout=0.3)
    assert eventually(lambda: running.services.notifier.listeners == 0)


def test_only_the_idempotent_answer_is_told_after_the_end(running: Running, worker: Worker) -> None:
    key = {"Idempotency-Key": "k", "Prefer": "wait=0"}
    job = running.client.post(URL, json={}, headers=key).json()["id"]
    worker.claim()
    worker.finish(job)
    answer = running.client.post(URL, json={}, headers=key)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.headers["idempotent-replayed"] == "true"


def test_jobs_are_logged_with_their_facts(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        job = running.client.post(URL, json={}).json()
    accepted = next(r for r in caplog.records if r.message == "accepted")
    assert (vars(accepted)["job"], vars(accepted)["owner"]) == (job["id"], "local")
    assert json.dumps(vars(accepted)["model"]) == json.dumps(MODEL)
