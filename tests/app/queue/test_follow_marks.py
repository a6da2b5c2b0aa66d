"""A job that someone follows is marked as such, and no other: workers render previews by it."""

import httpx
import pytest
import redis

from app.core.job_record import job_key
from app.queue import follow_marks
from tests.app.operations.test_event_stream import following_job
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, eventually
from tests.app.working import Worker


def mark(connection: "redis.Redis", job: str) -> str | None:
    value: str | None = connection.hget(job_key(job), "followed")  # type: ignore[assignment]
    return value


def test_a_job_is_marked_while_its_events_are_read(
    api: httpx.Client,
    worker: Worker,
    connection: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow_marks, "RENEWED", 0.0)
    job, other = make(api, 2)
    assert mark(connection, job) is None
    with following_job(api, job) as events:
        next(events)
        first = mark(connection, job)
        assert first
        worker.claim()
        next(events)
        assert eventually(lambda: mark(connection, job) != first), "it is set again"
        assert worker.followed() == {job}
    assert mark(connection, other) is None


def test_a_mark_runs_out_and_an_ended_job_gets_none(
    running: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(running.client)
    worker.claim()
    scripts = running.services.queue.scripts
    assert scripts.run("follow", job, 100) == 1
    assert worker.followed() == {job}
    assert scripts.run("follow", job, -1) == 1
    assert worker.followed() == set()
    worker.finish(job)
    assert scripts.run("follow", job, 100) == 0
    connection.delete(job_key(job))
    assert scripts.run("follow", job, 100) == 0
    assert not connection.exists(job_key(job)), "no record comes of it"
