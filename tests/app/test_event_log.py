"""The event log takes a bounded number of bytes, and none for long after its job's end."""

import httpx
import redis

from app.core.job_record import events_key
from tests.app.operations.test_event_stream import following_job, ids_of
from tests.app.queue.test_jobs import make
from tests.app.working import Worker

LIMIT = 65_536  # of data, as `common.lua` has it
PICTURE = "data:image/png;base64," + "A" * 20_000


def size_of(connection: "redis.Redis", job: str) -> int:
    entries = connection.xrange(events_key(job))
    return sum(len(entry["event"]) + len(entry["data"]) for _, entry in entries)


def test_previews_do_not_make_a_log_long(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    for step in range(1, 40):
        worker.progress(job, step, 40, preview={"job_id": job, "index": 0, "url": PICTURE})
        assert size_of(connection, job) <= LIMIT
    assert len(connection.xrange(events_key(job))) > 1


def test_an_event_that_is_too_long_alone_is_kept(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    worker.progress(job, 1, 2, preview={"job_id": job, "index": 0, "url": PICTURE * 5})
    (entry,) = connection.xrange(events_key(job))
    assert entry[1]["event"] == "preview"
    worker.finish(job)
    assert size_of(connection, job) <= LIMIT


def test_short_events_stay_as_many_as_before(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    for step in range(1, 190):
        worker.progress(job, step, 190)
    assert len(ids_of(connection, job)) == 191


def test_a_log_goes_a_while_after_the_end_and_readers_get_the_job(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    worker.progress(job, 1, 2)
    seen = ids_of(connection, job)[1]
    worker.finish(job)
    newest = ids_of(connection, job)[-1]
    worker.sweep()
    assert connection.exists(events_key(job))  # those who follow it have a minute
    connection.zadd("atelier:logs", {job: 1})
    worker.sweep()
    assert not connection.exists(events_key(job))
    for last in (seen, None):
        with following_job(api, job, last) as events:
            assert [(e.name, e.data["status"]) for e in events] == [("completed", "completed")]
    answer = api.get(f"/jobs/{job}/events", headers={"Last-Event-ID": newest})
    assert answer.status_code == 204
