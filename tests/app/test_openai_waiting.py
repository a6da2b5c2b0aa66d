"""POST /v1/images/generations while its job waits and runs: clients that leave, retry or are told
that it went wrong. The worker has no model, so the test decides what happens when."""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
import redis
from PIL import Image

from app.core.settings import Settings
from app.openai import answer as answering
from app.operations import event_stream, retries
from tests.app.serving import Running, eventually, serving
from tests.app.working import Worker
from tests.conftest import MODEL

PATH = "/v1/images/generations"
BODY = {"model": MODEL, "prompt": ""}
FIRST, AGAIN = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}
HURRY = 0.3  # seconds after which an impatient client leaves


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=2) as opened:
        yield opened


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that left have a moment to come back."""
    monkeypatch.setattr(retries, "GRACE", 0.2)


def picture(side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("L", (side, side)).save(out, "PNG")
    return out.getvalue()


def end(running: Running, worker: Worker, job: str) -> None:
    """Finish a job with one picture."""
    data = picture()
    stored = running.services.store.backend.put(data)
    facts = {"sha256": stored, "content_type": "image/png", "bytes": len(data)}
    worker.finish(job, output={**facts, "width": 8, "height": 8})


@contextmanager
def meanwhile(act: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Something that happens while the client waits."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(act)
        yield done
        done.result()


def first(worker: Worker) -> str:
    """Start the first job that comes."""
    claimed: list[str] = []
    assert eventually(lambda: claimed.extend(worker.claim()) or claimed)
    return claimed[0]


def statuses(running: Running) -> list[str]:
    return sorted(job["status"] for job in running.client.get("/jobs").json()["data"])


def leave(running: Running, headers: dict[str, str] | None = None) -> None:
    """Ask, and go before the answer."""
    with pytest.raises(httpx.ReadTimeout):
        running.client.post(PATH, json=BODY, headers=headers or {}, timeout=HURRY)


def leave_once_accepted(
    running: Running, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    """Ask, and go once there is a job: however long that takes, it is before the answer."""
    address = urlsplit(running.url)
    connection = HTTPConnection(str(address.hostname), address.port)
    sent = {"Content-Type": "application/json", **(headers or {})}
    connection.request("POST", path, json.dumps(body), sent)
    assert eventually(lambda: statuses(running), 20)
    connection.close()


def notes(connection: "redis.Redis") -> list[str]:
    """What is remembered of requests that wait, or that were given a token."""
    patterns = ("atelier:attended:*", "atelier:idem:*")
    return [key for pattern in patterns for key in connection.scan_iter(pattern)]


def test_an_answer_leaves_no_note(
    running: Running, worker: Worker, client: openai.OpenAI, connection: "redis.Redis"
) -> None:
    with meanwhile(lambda: end(running, worker, first(worker))):
        answer = client.images.with_raw_response.generate(model=MODEL, prompt="")
    images = answer.parse()
    assert images.data is not None
    assert base64.b64decode(images.data[0].b64_json or "") == picture()
    assert answer.headers["location"] == f"/jobs/{images.job_id}"  # type: ignore[attr-defined]
    assert "idempotent-replayed" not in answer.headers
    assert eventually(lambda: not notes(connection))


FAILURES = [
    ("failed", openai.InternalServerError, "out_of_memory"),
    ("canceled", openai.ConflictError, "canceled"),
]


@pytest.mark.parametrize(("outcome", "kind", "code"), FAILURES)
def test_a_job_that_made_nothing_is_told_once_by_its_code(
    running: Running,
    worker: Worker,
    client: openai.OpenAI,
    outcome: str,
    kind: type[openai.APIStatusError],
    code: str,
) -> None:
    with meanwhile(lambda: worker.finish(first(worker), outcome)), pytest.raises(kind) as caught:
        client.images.generate(model=MODEL, prompt="")
    assert caught.value.code == code
    assert caught.value.response.headers["location"].startswith("/jobs/job_")
    assert statuses(running) == [outcome]  # it was not tried again


def test_a_job_that_is_deleted_is_not_found(running: Running, worker: Worker) -> None:
    with meanwhile(lambda: running.client.delete(f"/jobs/{first(worker)}")):
        answer = httpx.post(f"{running.url}{PATH}", json=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


def test_a_failure_in_a_stream_is_an_event(
    running: Running, worker: Worker, client: openai.OpenAI
) -> None:
    stream = client.images.generate(model=MODEL, prompt="", stream=True)
    with (
        meanwhile(lambda: worker.finish(first(worker), "failed")),
        pytest.raises(openai.APIError, match="no memory") as caught,
    ):
        list(stream)
    assert caught.value.code == "out_of_memory"


def test_partial_pictures_are_spread_over_the_run(
    running: Running, worker: Worker, client: openai.OpenAI
) -> None:
    def run() -> None:
        job = first(worker)
        for step in range(1, 10):
            url = "data:image/png;base64," + base64.b64encode(picture(step)).decode()
            worker.progress(job, step, 10, preview={"job_id": job, "index": 0, "url": url})
        end(running, worker, job)

    stream = client.images.generate(model=MODEL, prompt="", stream=True, partial_images=3)
    with meanwhile(run):
        events: list[Any] = list(stream)
    assert [e.type.rpartition(".")[2] for e in events] == ["partial_image"] * 3 + ["completed"]
    assert [e.size for e in events] == ["1x1", "4x4", "7x7", "8x8"]


def test_a_stream_in_a_long_queue_is_kept_alive(
    running: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEPALIVE", 0.05)
    body = {**BODY, "stream": True}
    with running.client.stream("POST", PATH, json=body) as answer:
        lines = answer.iter_lines()
        assert ": keepalive" in lines
        end(running, worker, first(worker))
        assert "event: image_generation.completed" in lines


def test_who_waits_too_long_is_told_and_a_retry_waits_on(
    running: Running, worker: Worker, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "PATIENCE", 0.1)
    answer = running.client.post(PATH, json=BODY, headers=FIRST)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "no_workers")
    assert answer.headers["retry-after"] == "1"
    worker.lease()
    answer = running.client.post(PATH, json=BODY, headers=AGAIN)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "result_not_ready")
    (job,) = worker.claim()  # one for both
    assert job in error["message"]
    end(running, worker, job)
    answer = running.client.post(PATH, json=BODY, headers=AGAIN)
    assert (answer.status_code, answer.json()["job_id"]) == (200, job)
    assert answer.headers["idempotent-replayed"] == "true"


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("headers", [{}, FIRST])
def test_a_client_that_leaves_has_its_job_canceled(
    running: Running,
    worker: Worker,
    connection: "redis.Redis",
    headers: dict[str, str],
    started: bool,
) -> None:
    if started:
        with meanwhile(lambda: first(worker)):
            leave(running, headers)
    else:
        leave(running, headers)
    assert eventually(lambda: statuses(running) == ["canceling" if started else "canceled"])
    assert eventually(lambda: running.services.notifier.listeners == 0)
    assert eventually(lambda: not notes(connection))


def test_who_leaves_a_stream_has_its_job_canceled(running: Running) -> None:
    with running.client.stream("POST", PATH, json={**BODY, "stream": True}) as answer:
        assert answer.status_code == 200
    assert eventually(lambda: statuses(running) == ["canceled"])
    assert eventually(lambda: running.services.notifier.listeners == 0)


@pytest.mark.usefixtures("brief")
def test_a_key_keeps_a_job_whose_client_has_left(running: Running, worker: Worker) -> None:
    key = {"Idempotency-Key": "mine"}
    leave(running, key)
    assert eventually(lambda: running.services.notifier.listeners == 0)
    (job,) = worker.claim()
    end(running, worker, job)
    for _ in range(2):
        answer = running.client.post(PATH, json=BODY, headers=key)
        assert (answer.status_code, answer.json()["job_id"]) == (200, job)
    other = running.client.post(PATH, json={**BODY, "n": 2}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reuse")


def waiting(connection: "redis.Redis") -> list[str]:
    """How many requests wait on each token, of one body."""
    tallies: list[Any] = [connection.hvals(n) for n in connection.scan_iter("atelier:attended:*")]
    return sorted(count for counts in tallies for count in counts)


@pytest.mark.slow
def test_a_retry_gets_the_job_of_its_first_try(
    running: Running, worker: Worker, client: openai.OpenAI, connection: "redis.Redis"
) -> None:
    """As the real client does it: its first try runs out of time, its second is answered."""

    def work() -> None:
        job = first(worker)
        assert eventually(lambda: waiting(connection) == ["0"])
        assert eventually(lambda: waiting(connection) == ["1"])
        end(running, worker, job)

    with meanwhile(work):
        answer = client.with_options(timeout=1.0).images.generate(model=MODEL, prompt="")
    assert answer.data is not None
    assert statuses(running) == ["completed"]
    assert eventually(lambda: not notes(connection))


def test_each_of_many_alike_gets_its_own_job_back(
    running: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: leave(running, FIRST), range(4)))
        assert eventually(lambda: waiting(connection) == ["0"] * 4)
        asked = [pool.submit(running.client.post, PATH, json=BODY, headers=AGAIN) for _ in "1234"]
        assert eventually(lambda: waiting(connection) == ["1"] * 4)
        jobs = worker.claim()
        for job in jobs:
            end(running, worker, job)
        answers = [answer.result().json()["job_id"] for answer in asked]
    assert sorted(answers) == sorted(jobs)
    assert statuses(running) == ["completed"] * 4


def test_a_retry_whose_first_try_was_answered_is_a_new_request(
    running: Running, worker: Worker
) -> None:
    jobs = []
    for headers in (FIRST, AGAIN):
        with meanwhile(lambda: end(running, worker, first(worker))):
            jobs.append(running.client.post(PATH, json=BODY, headers=headers).json()["job_id"])
    assert jobs[0] != jobs[1]


def stock(running: Running, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0)


def test_a_full_queue_is_told_and_leaves_no_note(
    settings: Settings, connection: "redis.Redis"
) -> None:
    with serving(settings.model_copy(update={"queue_limit": 1})) as running:
        running.client.post("/generate/image", json={})
        accepted = notes(connection)  # of the job that was accepted
        with stock(running) as client, pytest.raises(openai.RateLimitError) as caught:
            client.images.generate(model=MODEL, prompt="")
    assert caught.value.code == "queue_full"
    assert notes(connection) == accepted


def test_a_server_that_stops_says_so_in_its_streams(settings: Settings) -> None:
    with serving(settings) as running, stock(running) as client:
        stream = client.images.generate(model=MODEL, prompt="", stream=True)
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        with pytest.raises(openai.APIError, match="the server stops"):
            list(stream)
        stopping.join()
    with serving(settings) as running:
        assert statuses(running) == ["queued"]  # its id was told


def test_pictures_are_their_keys_own(settings: Settings, tmp_path: Path, worker: Worker) -> None:
    lines = [f"{name} {hashlib.sha256(name.encode()).hexdigest()}" for name in ("ann", "ben")]
    (tmp_path / "keys").write_text("\n".join(lines))
    with serving(settings.model_copy(update={"keys_file": tmp_path / "keys"})) as running:
        with stock(running, "eve") as eve, pytest.raises(openai.AuthenticationError) as caught:
            eve.images.generate(model=MODEL, prompt="")
        with stock(running, "ann") as ann, meanwhile(lambda: end(running, worker, first(worker))):
            images = ann.images.generate(model=MODEL, prompt="", response_format="url")
        assert images.data is not None
        answers = []
        for name in ("ann", "ben"):
            with running.as_key(name) as client:
                answers.append(client.get(images.data[0].url or "").status_code)
    assert caught.value.code == "invalid_api_key"
    assert answers == [200, 404]
