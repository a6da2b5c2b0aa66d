"""/livez, /readyz, /metrics, and what is said of a server with other settings."""

import asyncio
import json

import httpx
import pytest
import redis
import redis.asyncio
from rq.suspension import resume, suspend

from app.core.settings import Misconfigured, Settings
from app.queue.connections import check_credentials, connect_async, warn_of_settings
from tests.app.queue.test_jobs import make
from tests.app.serving import eventually, serving
from tests.app.test_generate import error_of
from tests.app.working import Worker
from tests.conftest import MODEL


def test_it_lives(api: httpx.Client) -> None:
    assert api.get("/livez").json() == {"status": "alive"}


def test_it_is_ready_when_a_worker_is_alive(api: httpx.Client, worker: Worker) -> None:
    answer = api.get("/readyz")
    assert (answer.status_code, error_of(answer)["code"]) == (503, "no_workers")
    assert answer.headers["retry-after"] == "5"
    worker.lease()
    assert api.get("/readyz").json() == {"status": "ready", "workers": 1}
    worker.connection.delete("atelier:lease:w1")
    assert api.get("/readyz").status_code == 503


def test_it_is_not_ready_while_rq_is_suspended(api: httpx.Client, worker: Worker) -> None:
    worker.lease()
    suspend(worker.connection)
    answer = api.get("/readyz")
    assert (answer.status_code, error_of(answer)["code"]) == (503, "queue_suspended")
    assert "suspended" in error_of(answer)["message"]
    resume(worker.connection)
    assert api.get("/readyz").status_code == 200


def test_it_is_not_ready_while_no_worker_can_write_the_store(
    api: httpx.Client, worker: Worker
) -> None:
    def lease(name: str, problem: str | None) -> None:
        other = Worker(worker.connection, name)
        other.lease()
        facts = json.dumps({"capacity": 32, "store_problem": problem})
        worker.connection.set(f"atelier:lease:{name}", facts)

    lease("w1", "the disk is full")
    answer = api.get("/readyz")
    assert (answer.status_code, error_of(answer)["code"]) == (503, "store_unavailable")
    assert error_of(answer)["message"] == "the store can't be written: the disk is full"
    assert "atelier_workers_store_unavailable 1.0" in api.get("/metrics").text
    lease("w2", None)
    assert api.get("/readyz").json() == {"status": "ready", "workers": 1}
    lease("w1", None)
    assert api.get("/readyz").json() == {"status": "ready", "workers": 2}
    assert "atelier_workers_store_unavailable 0.0" in api.get("/metrics").text


def test_probes_are_logged_when_their_answer_changes(
    api: httpx.Client, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    def lines() -> list[tuple[str, str]]:
        ours = [r for r in caplog.records if r.name in ("app.services", "atelier.http")]
        return [(r.message, getattr(r, "reason", "")) for r in ours]

    with caplog.at_level("INFO"):
        for _ in range(5):
            api.get("/readyz")
        worker.lease()
        for _ in range(5):
            api.get("/readyz")
            api.get("/livez")
        api.get("/models")
        assert eventually(lambda: len(lines()) == 3)  # a request is logged after its answer
    assert lines() == [("not ready", "no worker is alive"), ("ready", ""), ("request", "")]


def test_a_password_that_is_refused_is_no_queue_that_is_away(
    settings: Settings, connection: "redis.Redis"
) -> None:
    connection.config_set("requirepass", "right")
    try:
        with serving(settings) as running:
            answer = running.client.get("/readyz")
    finally:
        connection.config_set("requirepass", "")
    assert answer.status_code == 503
    assert "refuses the password" in error_of(answer)["message"]


def test_figures_are_of_now(api: httpx.Client, worker: Worker) -> None:
    make(api, 3)
    worker.lease()
    text = api.get("/metrics").text
    assert f'atelier_jobs_waiting{{model="{MODEL}"}} 3.0' in text
    assert "atelier_items_in_flight 3.0" in text
    assert "atelier_workers_live 1.0" in text
    assert 'seconds_count{method="POST",route="/generate/image",status="202"}' in text
    worker.claim()
    assert f'atelier_jobs_waiting{{model="{MODEL}"}} 0.0' in api.get("/metrics").text


def test_unknown_paths_share_a_figure(api: httpx.Client) -> None:
    api.get("/some/path")
    text = api.get("/metrics").text
    assert 'route="none",status="404"' in text
    assert "/some/path" not in text


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("unix://{}", "ATELIER_REDIS_URL: Redis wants a password, and the URL has none"),
        ("unix://:wrong@{}", "ATELIER_REDIS_URL: Redis refuses the user name or the password"),
        ("unix://no:one@{}", "ATELIER_REDIS_URL: Redis refuses the user name or the password"),
    ],
)
def test_a_wrong_password_is_told_as_one(
    settings: Settings, connection: "redis.Redis", url: str, message: str
) -> None:
    address = url.format(settings.redis_url.removeprefix("unix://"))
    connection.config_set("requirepass", "right")
    try:
        with pytest.raises(Misconfigured) as caught:
            check_credentials(settings.model_copy(update={"redis_url": address}))
    finally:
        connection.config_set("requirepass", "")
    assert str(caught.value) == message


def test_a_server_that_is_away_has_no_wrong_password(settings: Settings) -> None:
    check_credentials(settings.model_copy(update={"redis_url": "unix:///nowhere/at/all"}))


def test_a_server_that_would_forget_is_warned_of(
    settings: Settings, connection: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        async with connect_async(settings) as reader:
            await warn_of_settings(reader)

    (before,) = connection.config_get("appendfsync").values()
    try:
        connection.config_set("appendfsync", "always")
        asyncio.run(check())
        assert caplog.records == []
        connection.config_set("appendfsync", "everysec")
        asyncio.run(check())
    finally:
        connection.config_set("appendfsync", before)
    assert "ACCEPTED JOBS MAY BE LOST: Redis has appendfsync everysec" in caplog.text
