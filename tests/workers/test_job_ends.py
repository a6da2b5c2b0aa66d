"""However a worker or a delivery ends, no job is lost, and a bad one troubles nobody else."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest
import redis
import torch

import workers.delivery.delivery
import workers.delivery.result_builder
import workers.worker_loop
from app.core.job_record import queue_name
from app.core.stores.folder_store import FolderStore
from models.artifacts import Image
from models.engine.engine import Engine
from tests.workers.conftest import Bench
from tests.workers.test_worker import STAMP, claim_as, die, reap
from workers.delivery.result_builder import ResultBuilder
from workers.encoders.encode import encode
from workers.encoders.types import Encoded, Facts
from workers.jobs.messages import JobProgress
from workers.main import WorkerProcess
from workers.queue_client import Claim, QueueCapacity


def lost(engine: Engine) -> list[object]:
    raise torch.AcceleratorError("illegal memory access")


def break_device(bench: Bench, name: str, ids: list[str]) -> BaseException | None:
    """Run these jobs on a worker whose device is then lost. Returns what its process raised."""
    process = WorkerProcess(bench.settings, name)
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        work = pool.submit(process.work)
        try:
            bench.until(lambda: {c.job for c in process.loop.claims} >= set(ids))
            patch.setattr(Engine, "tick", lost)
            return work.exception(20)
        finally:
            for _ in range(2):  # twice: at once
                process.worker.request_stop(15, None)


@pytest.mark.slow
def test_a_lost_device_ends_the_worker_and_loses_no_job(
    bench: Bench, slow: threading.Event
) -> None:
    ids = [bench.submit(i) for i in range(3)]
    raised = break_device(bench, "broken", ids)
    slow.set()
    bench.worker("two")
    for i in ids:
        assert bench.wait(i, 8).status == "completed"
    assert isinstance(raised, torch.AcceleratorError)


@pytest.mark.slow
def test_a_job_that_ends_in_a_lost_device_again_and_again_fails(
    bench: Bench, slow: threading.Event
) -> None:
    poison = bench.submit()
    for death in range(4):
        break_device(bench, f"broken{death}", [poison])
        reap(bench)
    job = bench.fetch(poison)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "worker_lost"


@pytest.mark.slow
def test_what_could_not_be_delivered_in_time_is_given_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.worker_loop, "CLOSE_SECONDS", 0.2, raising=False)
    reached, go_on, write = threading.Event(), threading.Event(), FolderStore._write

    def stuck(self: FolderStore, *args: Any) -> None:
        reached.set()
        go_on.wait(60)
        write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "_write", stuck)
        process = bench.worker(drain_grace=0.2)
        ids = [bench.submit(i) for i in range(2)]
        assert reached.wait(20)
        bench.until(lambda: all(bench.fetch(i).status == "in_progress" for i in ids))
        bench.stop(process)
        go_on.set()  # the late delivery is not this execution's any more
    assert bench.redis.lrange("rq:queue:" + bench.record(ids[0])["origin"], 0, -1) == ids
    bench.worker("two")
    for i in ids:
        job = bench.wait(i, 8)
        assert (job.status, job.attempt) == ("completed", 2)
        assert bench.events(i).count("completed") == 1


def test_a_worker_that_resigns_with_jobs_is_known_to_the_reaper(bench: Bench) -> None:
    job = bench.submit()
    claim_as(bench, "one")
    bench.client("one").resign()
    assert reap(bench) == [("one", job, "put back")]
    assert bench.redis.zrange("atelier:workers", 0, -1) == []


def test_a_worker_that_resigns_with_none_is_forgotten(bench: Bench) -> None:
    client = bench.client("one")
    client.renew({})
    client.resign()
    assert bench.redis.zrange("atelier:workers", 0, -1) == []


def test_whoever_claims_is_known_to_the_reaper(bench: Bench) -> None:
    job = bench.submit()
    room = QueueCapacity(queue_name("tiny-vae", bench.sha256("tiny-vae")), True, 1)
    assert len(bench.client("unlisted").look([], 1, [room], STAMP).claims) == 1
    die(bench, "unlisted")
    assert reap(bench) == [("unlisted", job, "put back")]


def test_a_result_that_can_not_be_encoded_fails_its_job_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(artifact: Image, output_format: str, facts: Facts) -> tuple[Encoded, ...]:
        if facts.seed == 2:
            raise RuntimeError("no such format")
        return encode(artifact, output_format, facts)

    monkeypatch.setattr(workers.delivery.delivery, "encode", fragile)
    bench.worker()
    ids = [bench.submit(i) for i in range(4)]
    jobs = [bench.wait(i, 8) for i in ids]
    assert [j.status for j in jobs] == ["completed", "completed", "failed", "completed"]
    assert jobs[2].error is not None
    assert jobs[2].error.code == "internal_error"


def test_a_preview_that_can_not_be_drawn_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(artifact: Image) -> str:
        raise OSError("broken picture")

    monkeypatch.setattr(workers.delivery.result_builder, "preview", torn)
    progress = JobProgress(Claim("job", "execution", {}), 1, 2, (0, Image(torch.zeros(1, 2, 2))))
    assert [name for name, _ in ResultBuilder().progress(progress).events] == ["progress"]


def test_a_record_that_can_not_be_read_ends_its_job_alone(
    bench: Bench, slow: threading.Event
) -> None:
    bench.worker()
    bad, good = bench.submit(1), bench.submit(2)
    bench.until(lambda: all(bench.fetch(i).status == "in_progress" for i in (bad, good)))
    bench.redis.hdel(f"rq:job:{bad}", "keep_result")
    slow.set()
    assert bench.wait(good, 8).status == "completed"
    ended = bench.wait(bad, 8)
    assert (ended.status, ended.attempt) == ("failed", 1)
    assert ended.error is not None
    assert ended.error.code == "internal_error"


def test_records_that_can_not_be_read_kill_no_worker(bench: Bench) -> None:
    bad = [bench.submit(i) for i in range(4)]
    for job, field in zip(bad, ("rows", "input", "items", "sha256"), strict=True):
        bench.redis.hset(f"rq:job:{job}", field, "abc")
    bench.redis.set("atelier:inflight:one", "of another type")
    process = bench.worker()
    assert bench.wait(bench.submit(9)).status == "completed"
    for job in bad:
        ended = bench.wait(job)
        assert (ended.status, ended.error and ended.error.code) == ("failed", "internal_error")
    assert process.worker.broken is None
    bench.until(lambda: not bench.redis.exists("atelier:reports"))  # a worker has logged them


@contextmanager
def setting(bench: Bench, name: str, value: object, before: object) -> Iterator[None]:
    bench.redis.config_set(name, value)
    try:
        yield
    finally:
        bench.redis.config_set(name, before)


def no_memory(bench: Bench) -> AbstractContextManager[None]:
    """OOM at each write."""
    return setting(bench, "maxmemory", 1, 0)


def no_replicas(bench: Bench) -> AbstractContextManager[None]:
    """NOREPLICAS at each write."""
    return setting(bench, "min-replicas-to-write", 1, 0)


@contextmanager
def read_only(bench: Bench) -> Iterator[None]:
    """READONLY at each write: it is a replica now."""
    bench.redis.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        bench.redis.replicaof("NO", "ONE")


@contextmanager
def no_master(bench: Bench) -> Iterator[None]:
    """MASTERDOWN at each read and write."""
    with setting(bench, "replica-serve-stale-data", "no", "yes"), read_only(bench):
        yield


@contextmanager
def busy(bench: Bench) -> Iterator[None]:
    """BUSY at everything: a script runs for ever."""
    url = bench.settings.redis_address
    with setting(bench, "busy-reply-threshold", 1, 5000), redis.Redis.from_url(url) as other:

        def run() -> None:
            with suppress(redis.ResponseError):
                other.eval("while true do end", 0)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            bench.until(lambda: killed(bench))
            thread.join()


def test_a_server_that_is_away_is_logged_once(
    bench: Bench, slow: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    process = bench.worker(heartbeat=60.0, sweep_interval=60.0, lease=90.0)
    job = bench.submit()
    bench.until(lambda: bench.fetch(job).status == "in_progress")
    with no_replicas(bench):
        looks = [0]
        original = process.loop._client.look

        def look(*args: Any) -> Any:
            looks[0] += 1
            return original(*args)

        process.loop._client.look = look  # type: ignore[method-assign]
        bench.until(lambda: looks[0] > 5)
    slow.set()
    assert bench.wait(job).status == "completed"
    ours = [r for r in caplog.records if r.module == "loop"]
    assert len([r for r in ours if r.getMessage() == "redis unreachable"]) <= 1


def killed(bench: Bench) -> bool:
    try:
        bench.redis.script_kill()
    except redis.ResponseError:
        return False  # it hasn't begun
    return True


@pytest.mark.slow
@pytest.mark.parametrize("refusing", [no_memory, no_replicas, read_only, no_master, busy])
def test_a_server_that_can_not_write_is_waited_for(
    bench: Bench,
    slow: threading.Event,
    refusing: Callable[[Bench], AbstractContextManager[None]],
) -> None:
    bench.worker()
    ids = [bench.submit(i) for i in range(2)]
    bench.until(lambda: all(bench.fetch(i).status == "in_progress" for i in ids))
    with refusing(bench):
        slow.set()
        threading.Event().wait(0.5)  # nothing can be told to whoever waits
    for i in ids:
        job = bench.wait(i, 8)
        assert (job.status, job.attempt) == ("completed", 1)


@pytest.mark.slow
def test_the_end_of_a_lost_execution_leaves_the_next_one_running(
    bench: Bench, slow: threading.Event
) -> None:
    bench.worker("one", lease=60.0, heartbeat=30.0, sweep_interval=1000.0)
    job = bench.submit()
    bench.until(lambda: bench.fetch(job).progress.step > 0)
    die(bench, "one")
    assert reap(bench) == [("one", job, "put back")]
    bench.until(lambda: bench.fetch(job).attempt > 1 and bench.fetch(job).progress.step > 5)
    slow.set()
    ended = bench.wait(job)
    assert (ended.status, ended.attempt) == ("completed", 2)


def test_input_that_its_family_does_not_know_fails_the_job(bench: Bench) -> None:
    bench.worker()
    job = bench.wait(bench.submit(warmth=1.0))
    assert job.status == "failed"
    assert bench.wait(bench.submit()).status == "completed"
