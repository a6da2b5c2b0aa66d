"""The sweep ends what time has ended, and never takes bytes that someone has or is to have."""

import os
import threading
import time

import pytest
import redis
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from app.core.store import Unreachable
from app.core.stores.folder_store import FolderStore
from app.queue.jobs import Jobs
from tests.workers.conftest import Bench

SHA = "ab" * 32
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_bytes_that_can_not_be_deleted_hold_up_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()

    def refuse(self: FolderStore, name: str) -> None:
        refused.set()
        raise Unreachable("the bucket allows no deletes")

    monkeypatch.setattr(FolderStore, "_remove", refuse)
    bench.worker(orphan_ttl=0.1)
    one = bench.wait(bench.submit(5))
    bench.redis.delete("atelier:orphans")
    bench.jobs.delete("local", one.id)
    bench.redis.zadd("atelier:orphans", {one.outputs[0].sha256: 1})
    assert refused.wait(20)
    for seed in (5, 6):
        assert bench.wait(bench.submit(seed), 5).status == "completed"
    assert bench.redis.zscore("atelier:deleting", one.outputs[0].sha256) is None


def test_bytes_being_deleted_are_waited_for_but_not_for_ever(bench: Bench) -> None:
    client, now = bench.client("one"), time.time()
    bench.redis.zadd("atelier:deleting", {SHA: now})
    assert not client.hold([SHA])
    bench.redis.zadd("atelier:deleting", {SHA: now - 61})  # whoever began it is dead
    assert client.hold([SHA])
    assert bench.redis.zscore("atelier:deleting", SHA) is None


def test_what_a_dead_housekeeper_left_is_offered_again(bench: Bench) -> None:
    client = bench.client("one")
    bench.redis.zadd("atelier:deleting", {SHA: time.time() - 61})
    assert client.sweep() == [SHA]
    assert client.doom(SHA, "begin")
    assert not client.doom(SHA, "begin")  # it is one's business already
    assert client.sweep() == []
    client.doom(SHA, "done")
    assert not bench.redis.exists("atelier:deleting", "atelier:orphans")


def test_an_entry_of_a_job_that_has_ended_is_dropped_and_the_job_left_alone(bench: Bench) -> None:
    process = bench.worker()
    job = bench.wait(bench.submit())
    bench.stop(process)
    queue = "rq:queue:" + bench.record(job.id)["origin"]
    bench.redis.rpush(queue, job.id)
    bench.redis.hset(f"rq:job:{job.id}", "deadline", "1.0")
    before = bench.events(job.id)
    bench.client("one").sweep()
    assert bench.fetch(job.id).status == "completed"
    assert bench.events(job.id) == before
    assert bench.redis.llen(queue) == 0


def test_a_hold_lasts_until_the_commit(bench: Bench) -> None:
    client = bench.client("one", orphan_ttl=0.0, job_deadline=100.0)
    client.hold([SHA])
    assert client.sweep() == []


def test_an_owner_that_lets_go_does_not_shorten_anothers_hold(bench: Bench) -> None:
    bench.worker()
    job = bench.wait(bench.submit())
    sha256 = job.outputs[0].sha256
    bench.client("other").hold([sha256])  # it has just made the same bytes
    until = bench.redis.zscore("atelier:orphans", sha256)
    bench.jobs.delete("local", job.id)
    assert bench.redis.zscore("atelier:orphans", sha256) == until


@pytest.mark.slow
def test_bytes_made_anew_during_a_slow_sweep_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on, remove = threading.Event(), threading.Event(), FolderStore._remove
    bench.worker()
    jobs = [bench.wait(bench.submit(i)) for i in range(3)]
    first, again, last = (job.outputs[0].sha256 for job in jobs)

    def slowly(self: FolderStore, name: str) -> None:
        if name == first:
            entered.set()
            go_on.wait(30)
        remove(self, name)

    monkeypatch.setattr(FolderStore, "_remove", slowly)
    for job in jobs:
        bench.jobs.delete("local", job.id)
    bench.redis.zadd("atelier:orphans", {first: 1, again: 2, last: 3})
    assert entered.wait(20)
    try:
        assert bench.wait(bench.submit(1), 5).status == "completed"
    finally:
        go_on.set()
    bench.until(lambda: not bench.store.exists(last))
    assert bench.store.exists(again)


def test_a_job_requeued_after_its_deadline_has_its_time_anew(bench: Bench) -> None:
    hasty = bench.settings.model_copy(update={"job_deadline": 20.0})
    job, client = Jobs(bench.redis, hasty).submit(bench.new()).job.id, bench.client("one")
    bench.redis.hset(f"rq:job:{job}", "deadline", f"{time.time() - 1:.6f}")
    client.sweep()
    assert bench.fetch(job).status == "failed"
    with redis.Redis.from_url(bench.settings.redis_address) as raw:
        RQJob.fetch(job, raw, JSONSerializer).requeue()
    client.sweep()
    assert bench.redis.llen("rq:queue:" + bench.record(job)["origin"]) == 1
    bench.worker()
    bench.until(lambda: bench.fetch(job).status == "completed")
    assert float(bench.record(job)["deadline"]) > time.time()


def leftover(bench: Bench, data: bytes, age: float) -> str:
    """A file that Redis doesn't know, last put so many seconds ago."""
    sha256 = bench.store.put(data)
    path = next(bench.settings.state.rglob(sha256))
    os.utime(path, (time.time() - age,) * 2)
    return sha256


def test_files_that_redis_does_not_know_are_swept_once_no_job_can(bench: Bench) -> None:
    settings = bench.settings
    limit = settings.result_ttl + settings.job_deadline + settings.orphan_ttl
    uploaded = bench.post(PNG)
    os.utime(next(settings.state.rglob(uploaded)), (1, 1))
    old, recent = leftover(bench, b"old", limit + 60), leftover(bench, b"recent", limit - 60)
    bench.worker()
    bench.until(lambda: not bench.store.exists(old))
    assert bench.store.exists(recent)
    assert bench.store.exists(uploaded)  # however old its file is


def test_the_results_of_a_redis_that_was_emptied_go(bench: Bench) -> None:
    process = bench.worker()
    job = bench.wait(bench.submit())
    bench.stop(process)
    sha256 = job.outputs[0].sha256
    os.utime(next(bench.settings.state.rglob(sha256)), (1, 1))
    bench.redis.flushall()
    bench.worker("two")
    bench.until(lambda: not bench.store.exists(sha256))


def test_a_file_that_is_about_to_be_noted_is_not_adopted(bench: Bench) -> None:
    client = bench.client("one")
    assert client.hold([SHA])
    assert client.adopt([SHA]) == 0
    assert client.sweep() == []
