"""GET /jobs/{id}/events: a snapshot, every event once, one end."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import redis

from app.core.job_record import events_key
from app.core.settings import Settings
from app.operations import event_stream
from app.queue import notifications
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, eventually, serving
from tests.app.working import Worker


@dataclass(frozen=True)
class Sent:
    """One server-sent event as a client reads it."""

    id: str
    name: str
    data: dict[str, Any]


def parsed(lines: Iterator[str]) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Sent(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


@contextmanager
def following_job(api: httpx.Client, job: str, last: str | None = None) -> Iterator[Iterator[Sent]]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with api.stream("GET", f"/jobs/{job}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield parsed(answer.iter_lines())


def events_of(api: httpx.Client, job: str, last: str | None = None) -> list[Sent]:
    with following_job(api, job, last) as events:
        return list(events)


def ids_of(connection: "redis.Redis", job: str) -> list[str]:
    entries: list[Any] = connection.xrange(events_key(job))  # type: ignore[assignment]
    return [i for i, _ in entries]


def test_a_fresh_reader_gets_a_snapshot_then_what_happens_then_the_end(
    running: Running, worker: Worker
) -> None:
    (job,) = make(running.client)
    with following_job(running.client, job) as events:
        snapshot = next(events)
        assert (snapshot.name, snapshot.data["status"]) == ("status", "queued")
        assert snapshot.data == running.client.get(f"/jobs/{job}").json()
        worker.claim()
        worker.progress(job, 1, 2, preview={"job_id": job, "url": "data:,"}, output={"index": 0})
        worker.finish(job)
        rest = list(events)
    assert [e.name for e in rest] == ["status", "progress", "preview", "output", "completed"]
    assert rest[1].data["value"] == 0.5
    assert rest[-1].data == running.client.get(f"/jobs/{job}").json()
    order = [snapshot.id, *(e.id for e in rest)]
    assert order == sorted(set(order), key=lambda i: tuple(map(int, i.split("-"))))
    assert eventually(lambda: running.services.notifier.listeners == 0)


@pytest.mark.parametrize("end", ["completed", "failed", "canceled"])
def test_an_ended_job_gives_its_end_at_once(api: httpx.Client, worker: Worker, end: str) -> None:
    (job,) = make(api)
    if end == "canceled":
        api.post(f"/jobs/{job}/cancel")
    else:
        worker.claim()
        worker.finish(job, {"completed": "finished"}.get(end, end))
    (only,) = events_of(api, job)
    assert (only.name, only.data["status"]) == (end, end)


def test_an_expired_job_gives_completed(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    worker.finish(job, output={"sha256": "a" * 64, "content_type": "image/png", "bytes": 1})
    connection.zadd("atelier:expiry", {job: 1})
    worker.sweep()
    (only,) = events_of(api, job)
    assert (only.name, only.data["status"]) == ("completed", "expired")


def test_a_reader_that_drops_misses_nothing_and_sees_nothing_twice(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    for step in range(1, 21):
        worker.progress(job, step, 20)
    worker.finish(job)
    every = ids_of(connection, job)
    for seen in (0, 1, 7, len(every) - 2):
        assert [e.id for e in events_of(api, job, every[seen])] == every[seen + 1 :]


def test_a_reader_of_a_running_job_goes_on_where_it_was(api: httpx.Client, worker: Worker) -> None:
    (job,) = make(api)
    worker.claim()
    seen: list[Sent] = []
    with following_job(api, job) as events:
        seen.append(next(events))
    for step in range(1, 4):
        worker.progress(job, step, 3)
        with following_job(api, job, seen[-1].id) as events:
            seen.append(next(events))
    worker.finish(job)
    seen += events_of(api, job, seen[-1].id)
    assert [e.name for e in seen] == ["status", *["progress"] * 3, "completed"]
    assert [e.data["step"] for e in seen[1:4]] == [1, 2, 3]


def test_who_has_seen_the_end_is_told_to_stop(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    worker.finish(job)
    last = ids_of(connection, job)[-1]
    answer = api.get(f"/jobs/{job}/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last", ["", "x", "0-0", "99999999999999-0", "9" * 30 + "-0", "1-1\x7f"])
def test_an_id_that_the_log_does_not_have_gives_a_snapshot(
    api: httpx.Client, worker: Worker, last: str
) -> None:
    (job,) = make(api)
    worker.claim()
    with following_job(api, job, last) as events:
        first = next(events)
    assert (first.name, first.data["id"]) == ("status", job)


def test_a_log_that_was_cut_gives_a_snapshot(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(api)
    worker.claim()
    first = ids_of(connection, job)[0]
    for step in range(1, 10):
        worker.progress(job, step, 10)
    connection.xtrim(events_key(job), maxlen=3, approximate=False)
    with following_job(api, job, first) as events:
        snapshot = next(events)
        assert (snapshot.name, snapshot.data["progress"]["step"]) == ("status", 9)
        worker.finish(job)
        assert [e.name for e in events] == ["completed"]


def test_a_job_that_is_deleted_ends_as_canceled(running: Running, worker: Worker) -> None:
    waiting, going = make(running.client, 2)
    for job in (waiting, going):
        if job == going:
            worker.claim()
        with following_job(running.client, job) as events:
            next(events)
            running.client.delete(f"/jobs/{job}")
            last = list(events)[-1]
        assert (last.name, last.data["id"], last.data["status"]) == ("canceled", job, "canceled")
        assert running.client.get(f"/jobs/{job}/events").status_code == 404


def test_silence_is_kept_alive(
    running: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEPALIVE", 0.05)
    (job,) = make(running.client)
    with running.client.stream("GET", f"/jobs/{job}/events") as answer:
        assert ": keepalive" in (line for line in answer.iter_lines())


def test_a_lost_ring_costs_only_a_moment(
    running: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch, connection: "redis.Redis"
) -> None:
    monkeypatch.setattr(notifications, "RECHECK", 0.05)
    (job,) = make(running.client)
    with following_job(running.client, job) as events:
        next(events)
        connection.xadd(events_key(job), {"event": "progress", "data": '{"silent": true}'})
        assert next(events).data == {"silent": True}


def test_a_cut_subscription_is_made_again(
    running: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    (job,) = make(running.client)
    with following_job(running.client, job) as events:
        next(events)
        connection.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        worker.claim()
        worker.finish(job)
        assert list(events)[-1].name == "completed"


def test_many_readers_all_see_the_end(running: Running, worker: Worker) -> None:
    (job,) = make(running.client)
    ends: list[str] = []

    def read() -> None:
        with httpx.Client(base_url=running.url, timeout=30) as client:
            ends.append(events_of(client, job)[-1].name)

    readers = [threading.Thread(target=read) for _ in range(30)]
    for reader in readers:
        reader.start()
    assert eventually(lambda: running.services.notifier.listeners == 30, 15)
    worker.claim()
    worker.finish(job)
    for reader in readers:
        reader.join(20)
    assert ends == ["completed"] * 30
    assert eventually(lambda: running.services.notifier.listeners == 0)


def test_a_client_that_leaves_frees_its_place(running: Running) -> None:
    (job,) = make(running.client)
    with following_job(running.client, job) as events:
        next(events)
        assert running.services.notifier.listeners == 1
    assert eventually(lambda: running.services.notifier.listeners == 0)


def test_a_server_that_stops_ends_its_streams(settings: Settings) -> None:
    started = time.monotonic()
    with serving(settings) as running:
        (job,) = make(running.client)
        stream = following_job(running.client, job)
        events = stream.__enter__()
        assert next(events).name == "status"
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        assert list(events) == []
        stream.__exit__(None, None, None)
        stopping.join()
    assert time.monotonic() - started < 8
