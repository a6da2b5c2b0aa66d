"""A store that can't be written or read: nothing fails for it before its deadline, and all go on
when it is back."""

import threading
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from app.core.store import FileTooLarge, Full, Unreachable
from app.core.stores.folder_store import FolderStore
from app.queue.worker_leases import Lease
from tests.workers.conftest import Bench
from tests.workers.test_input_reader import PNG
from workers.main import WorkerProcess

FULL = "the disk is full"


class Disk:
    """What becomes of the writes of every folder: an error each, or they hang until it is set."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.free = threading.Event()
        self.free.set()
        self.sizes: list[int] = []  # of the writes that were tried

    def write(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self.free.wait(60)
        if self.error:
            raise self.error


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk, write = Disk(), FolderStore._write

    def guarded(self: FolderStore, name: str, file: BinaryIO, size: int) -> None:
        disk.write(file.read())
        file.seek(0)
        write(self, name, file, size)

    monkeypatch.setattr("workers.retry.LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(FolderStore, "_write", guarded)
    yield disk
    disk.free.set()
    disk.error = None


def lease_of(bench: Bench, worker: str = "one") -> Lease:
    return Lease.model_validate_json(bench.redis.get(f"atelier:lease:{worker}") or "{}")


def in_trouble(bench: Bench, process: WorkerProcess) -> None:
    bench.until(lambda: process.loop.facts()["store_problem"] is not None)


@pytest.fixture
def stuck(bench: Bench, disk: Disk) -> tuple[WorkerProcess, str]:
    """A worker whose disk is full, and a job that is done but for its result."""
    process = bench.worker()
    disk.error = Full(FULL)
    job = bench.submit()
    in_trouble(bench, process)
    return process, job


def test_results_are_kept_until_the_disk_has_room(
    bench: Bench, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "atelier.worker")
    bench.worker()
    disk.error = Full(FULL)
    ids = [bench.submit(i) for i in range(3)]
    bench.until(lambda: len(disk.sizes) > 10)
    assert {bench.fetch(i).status for i in ids} <= {"in_progress", "queued"}
    disk.error = None
    jobs = [bench.wait(i) for i in ids]
    assert [job.status for job in jobs] == ["completed"] * 3
    assert all(bench.store.exists(job.outputs[0].sha256) for job in jobs)
    assert jobs[0].attempt == 1
    records = [r for r in caplog.records if "the store can" in r.getMessage()]
    assert [r.getMessage() for r in records] == [
        "the store can't be written",
        "the store can be written again",
    ]
    assert vars(records[0])["reason"] == FULL


def test_nothing_is_claimed_and_the_lease_says_why(
    bench: Bench, disk: Disk, stuck: tuple[WorkerProcess, str]
) -> None:
    _, first = stuck
    bench.until(lambda: lease_of(bench).store_problem == FULL)
    waiting = bench.submit(2)
    tried = len(disk.sizes)
    bench.until(lambda: len(disk.sizes) > tried + 3)
    job = bench.fetch(waiting)
    assert (job.status, job.attempt) == ("queued", 0)
    disk.error = None
    assert bench.wait(waiting).status == "completed"
    assert bench.wait(first).status == "completed"
    bench.until(lambda: lease_of(bench).store_problem is None)


def test_jobs_that_have_not_begun_go_back_uncharged(
    bench: Bench, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on, read = threading.Event(), threading.Event(), FolderStore._read

    def slowly(self: FolderStore, name: str, start: int, length: int) -> bytes:
        reached.set()
        go_on.wait(60)
        return read(self, name, start, length)

    monkeypatch.setattr(FolderStore, "_read", slowly)
    process = bench.worker()
    waiting = bench.submit(init_image=bench.post(PNG))
    assert reached.wait(20)
    disk.error = Full(FULL)
    bench.submit(2)
    in_trouble(bench, process)
    bench.until(lambda: bench.record(waiting)["status"] == "queued")
    assert "deaths" not in bench.record(waiting)
    disk.error = None
    go_on.set()
    assert bench.wait(waiting).status == "completed"


def test_a_cancel_ends_a_job_whose_result_waits(
    bench: Bench, disk: Disk, stuck: tuple[WorkerProcess, str]
) -> None:
    process, job = stuck
    bench.jobs.cancel("local", job)
    assert bench.wait(job).status == "canceled"
    bench.until(lambda: not process.loop.claims)
    assert bench.events(job).count("canceled") == 1
    disk.error = None
    assert bench.wait(bench.submit(5)).status == "completed"


def test_a_deadline_ends_a_job_whose_result_waits_and_says_why(
    bench: Bench, disk: Disk, stuck: tuple[WorkerProcess, str]
) -> None:
    _, job = stuck
    bench.redis.hset(f"rq:job:{job}", "deadline", "1.0")
    ended = bench.wait(job)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.code == "deadline_exceeded"
    assert ended.error.message.endswith("the store can't be written: the disk is full")


def test_a_drain_gives_back_what_waits_for_the_store(
    bench: Bench, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.worker_loop.CLOSE_SECONDS", 0.1)
    process = bench.worker(drain_grace=0.1)
    disk.error = Full(FULL)
    job = bench.submit()
    in_trouble(bench, process)
    bench.stop(process)
    assert bench.record(job)["status"] == "queued"
    disk.error = None
    bench.worker("two")
    ended = bench.wait(job)
    assert (ended.status, ended.attempt) == ("completed", 2)


def test_a_store_that_hangs_is_noticed_and_a_cancel_obeyed(bench: Bench, disk: Disk) -> None:
    process = bench.worker(store_timeout=0.2)
    disk.free.clear()
    ids = [bench.submit(i) for i in range(2)]
    in_trouble(bench, process)
    bench.until(lambda: lease_of(bench).store_problem == "it does not answer")
    bench.jobs.cancel("local", ids[0])
    assert bench.wait(ids[0]).status == "canceled"
    disk.free.set()
    ended = bench.wait(ids[1])
    assert (ended.status, ended.attempt) == ("completed", 1)
    assert bench.wait(bench.submit(3)).status == "completed"


def test_a_cancel_is_obeyed_before_a_hang_is_noticed(bench: Bench, disk: Disk) -> None:
    bench.worker(store_timeout=600)
    disk.free.clear()
    ids = [bench.submit(i) for i in range(2)]
    bench.until(lambda: len(disk.sizes) > 0)
    for job in ids:
        bench.jobs.cancel("local", job)
        assert bench.wait(job).status == "canceled"


def test_a_file_that_alone_fails_holds_up_no_other(bench: Bench, disk: Disk) -> None:
    bench.worker()
    accepted, tries = threading.Event(), [0]

    def picky(data: bytes) -> None:
        if b'"grid": true' in data and not accepted.is_set():
            tries[0] += 1
            raise Unreachable("access is denied")

    disk.write = picky  # type: ignore[method-assign]
    bad = bench.submit(2, n=2, grid=True)
    bench.until(lambda: tries[0] > 3)
    for seed in range(3):
        assert bench.wait(bench.submit(seed)).attempt == 1
    assert bench.fetch(bad).status == "in_progress"
    accepted.set()
    assert bench.wait(bad).status == "completed"


def test_a_file_that_is_too_large_fails_its_job_alone(bench: Bench, disk: Disk) -> None:
    bench.worker()
    disk.error = FileTooLarge("the file is too large for the artifact store")
    job = bench.wait(bench.submit())
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.message == "the result could not be stored"
    disk.error = None
    assert bench.wait(bench.submit(2)).status == "completed"


def test_a_store_that_can_not_be_read_is_asked_again_until_the_deadline(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.retry.LONGEST_PAUSE", 0.01)
    reads = [0]

    def refuse(self: FolderStore, name: str, start: int, length: int) -> bytes:
        reads[0] += 1
        raise Unreachable("access is denied")

    monkeypatch.setattr(FolderStore, "_read", refuse)
    bench.worker()
    job = bench.submit(init_image=bench.post(PNG))
    other = bench.submit(2)
    bench.until(lambda: reads[0] > 20)
    assert bench.fetch(job).status in ("in_progress", "queued")
    assert bench.wait(other).status == "completed"
    bench.redis.hset(f"rq:job:{job}", "deadline", "1.0")
    ended = bench.wait(job)
    assert ended.error is not None
    assert ended.error.code == "deadline_exceeded"
