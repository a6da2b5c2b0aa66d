"""Redis goes away and comes back: 503 while it is away, and nothing to restart after."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.core.settings import Settings
from atelier.service.embedded_valkey import EmbeddedServer
from tests.app.operations.test_event_stream import following_job
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, eventually, serving
from tests.app.test_generate import URL, error_of
from tests.app.working import Worker


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        yield Path(folder)


@pytest.fixture
def own(state: Path, checkpoints: Path) -> Settings:
    url = EmbeddedServer(state).url
    return Settings(state=state, redis_url=url, checkpoints=checkpoints)


def is_away(answer: httpx.Response) -> None:
    assert (answer.status_code, error_of(answer)["code"]) == (503, "queue_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "redis" not in answer.text.lower()
    assert "valkey" not in answer.text.lower()


def test_an_api_that_starts_before_redis_finds_it(own: Settings, state: Path) -> None:
    with serving(own) as running:
        is_away(running.client.post(URL, json={}))
        is_away(running.client.get("/readyz"))
        is_away(running.client.get("/jobs"))
        assert running.client.get("/livez").status_code == 200
        with EmbeddedServer(state):
            assert running.client.post(URL, json={}).status_code == 202


def everything(running: Running, job: str) -> list[httpx.Response]:
    api = running.client
    return [
        api.post(URL, json={}),
        api.get("/jobs"),
        api.get(f"/jobs/{job}"),
        api.get(f"/jobs/{job}/events"),
        api.post(f"/jobs/{job}/cancel"),
        api.delete(f"/jobs/{job}"),
        api.get("/models"),
        api.get("/readyz"),
        api.get("/metrics"),
        api.get("/artifacts/" + "a" * 64),
    ]


@pytest.mark.slow
def test_redis_that_restarts_is_found_again(own: Settings, state: Path) -> None:
    with serving(own) as running:
        with EmbeddedServer(state):
            (job,) = make(running.client)
        for answer in everything(running, job):
            is_away(answer)
        with EmbeddedServer(state):
            assert running.client.get(f"/jobs/{job}").json()["status"] == "queued"
            assert running.client.post(URL, json={}).status_code == 202


def test_who_follows_stays_and_gets_the_end(own: Settings, state: Path) -> None:
    with serving(own) as running:
        with EmbeddedServer(state):
            (job,) = make(running.client)
            stream = following_job(running.client, job)
            events = stream.__enter__()
            assert next(events).name == "status"
        with EmbeddedServer(state), running.services.queue.blocking.client() as _:
            worker = Worker(running.services.queue.blocking)
            assert eventually(worker.claim)
            worker.finish(job)
            assert [e.name for e in events] == ["status", "completed"]
        stream.__exit__(None, None, None)
