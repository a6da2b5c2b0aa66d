"""Redis hangs in the middle of a submission: no try makes a second job."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio.connection import AbstractConnection

from app.core.settings import Settings
from app.queue import connections
from app.queue.unresolved import Unresolved
from atelier.service.embedded_valkey import EmbeddedServer
from tests.app.serving import Running, eventually, serving
from tests.app.test_generate import URL, error_of
from tests.conftest import MODEL

IMAGES = "/v1/images/generations"
HURRY = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}


@dataclass
class Hanging:
    """A service whose server the test can stop and continue."""

    running: Running
    server: EmbeddedServer

    @contextmanager
    def hang(self) -> Iterator[None]:
        assert self.server.process is not None
        os.kill(self.server.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.server.process.pid, signal.SIGCONT)

    def jobs(self) -> list[str]:
        return [job["id"] for job in self.running.client.get("/jobs").json()["data"]]


@pytest.fixture
def hanging(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    monkeypatch.setattr(connections, "TIMES", HURRY)
    with (
        tempfile.TemporaryDirectory(prefix="atelier-") as folder,
        EmbeddedServer(Path(folder)) as server,
        serving(
            Settings(state=Path(folder), redis_url=server.url, checkpoints=checkpoints)
        ) as running,
    ):
        first = running.client.post(URL, json={}).json()["id"]  # the server knows the scripts
        assert running.client.post(IMAGES, json={"model": "none"}).status_code == 404
        assert running.client.delete(f"/jobs/{first}").is_success
        assert running.client.get("/jobs").json()["data"] == []
        yield Hanging(running, server)


def is_unknown(answer: httpx.Response) -> None:
    assert (answer.status_code, error_of(answer)["code"]) == (503, "queue_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


def test_the_same_request_again_gets_the_job_of_its_first_try(hanging: Hanging) -> None:
    api, body = hanging.running.client, {"model": MODEL, "temperature": 0.5}
    with hanging.hang():
        is_unknown(api.post(URL, json=body))
        is_unknown(api.post(URL, json=body))  # the token is not lost with the second try
    again = api.post(URL, json=body)
    assert again.status_code == 202
    assert hanging.jobs() == [again.json()["id"]]
    third = api.post(URL, json=body)  # another request: each token is given once
    assert third.json()["id"] != again.json()["id"]
    assert len(hanging.jobs()) == 2


def test_the_key_of_the_refusal_finds_the_job_from_any_process(hanging: Hanging) -> None:
    api, body = hanging.running.client, {"model": MODEL, "temperature": 0.5}
    with hanging.hang():
        refused = api.post(URL, json=body)
    hanging.running.services.queue.unresolved = Unresolved()  # as in another process
    own = {"Idempotency-Key": refused.headers["idempotency-key"]}
    replayed = api.post(URL, json=body, headers=own)
    assert replayed.status_code == 202
    assert hanging.jobs() == [replayed.json()["id"]]


def test_other_requests_get_jobs_of_their_own(hanging: Hanging) -> None:
    api = hanging.running.client
    with hanging.hang():
        is_unknown(api.post(URL, json={"temperature": 0.5}))
    other = api.post(URL, json={"temperature": 0.6})
    assert other.json()["input"]["temperature"] == 0.6
    assert "idempotent-replayed" not in other.headers
    assert eventually(lambda: len(hanging.jobs()) == 2)  # the first may come after it


@pytest.mark.parametrize("route", [URL, IMAGES])
def test_a_hang_costs_a_request_one_timeout(
    hanging: Hanging, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a key there are reads before the submission; each try of one would cost a timeout."""
    failures: list[str] = []
    read = AbstractConnection.read_response

    async def counted(self: AbstractConnection, *args: Any, **options: Any) -> Any:
        try:
            return await read(self, *args, **options)
        except Exception as error:
            failures.append(type(error).__name__)
            raise

    monkeypatch.setattr(AbstractConnection, "read_response", counted)
    body = {"model": MODEL, "prompt": ""} if route == IMAGES else {"model": MODEL}
    with hanging.hang():
        answer = hanging.running.client.post(route, json=body, headers={"Idempotency-Key": "k"})
    is_unknown(answer)
    assert failures == ["TimeoutError"]


def test_tokens_are_given_in_order_and_once() -> None:
    unresolved = Unresolved()
    for token in ("a", "b"):
        unresolved.remember("asked", token)
    assert [unresolved.take("asked") for _ in range(3)] == ["a", "b", None]


def test_a_process_remembers_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.queue.unresolved.MOST", 3)
    unresolved = Unresolved()
    for i in range(5):
        unresolved.remember(f"asked {i}", "token")
    assert unresolved.take("asked 1") is None
    assert unresolved.take("asked 4") == "token"
