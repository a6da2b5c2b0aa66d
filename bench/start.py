"""From acceptance to start, one job at a time on an idle worker, against RQ's SimpleWorker."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from rq import Queue
from rq.job import Job

from bench.bed import Bed, Unfinished, bed, report

JOBS = 200


def ours(on: Bed) -> float:
    """Median seconds between the two stamps that the server's clock set."""
    worker = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=on.environment, stderr=subprocess.DEVNULL
    )
    with ending(worker):
        waits = []
        for i in range(JOBS + 1):
            job = on.submit(i)
            on.wait(job, worker)
            stamps = on.redis.hmget(f"rq:job:{job}", "created", "started")
            created, started = (float(s or 0) for s in stamps)
            waits.append(started - created)
            time.sleep(0.005)
    return statistics.median(waits[1:])  # the first waited for its model


@contextmanager
def ending(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ends a process that this one started, whatever happens meanwhile."""
    try:
        yield
    finally:
        process.terminate()
        process.wait()


SERVE = """
import torch
from app.core.settings import Settings
from bench.noop import register
from workers.main import WorkerProcess
register()
torch.set_num_threads(1)
WorkerProcess(Settings(), "bench-start").work()
"""


def simple(on: Bed) -> float:
    url = on.settings.redis_address
    connection = redis.Redis.from_url(url)
    command = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url", url]
    command += ["--worker-class", "rq.worker.SimpleWorker", "peer"]
    worker = subprocess.Popen(command, env=on.environment, stderr=subprocess.DEVNULL)
    queue, waits = Queue("peer", connection=connection), []
    with ending(worker):
        for _ in range(JOBS + 1):
            job = queue.enqueue("bench.nothing.nothing")
            while not Job.fetch(job.id, connection).is_finished:
                if Job.fetch(job.id, connection).is_failed or worker.poll() is not None:
                    raise Unfinished(f"{job.id} is not completed")
                time.sleep(0.002)
            done = Job.fetch(job.id, connection)
            assert done.started_at is not None
            assert done.enqueued_at is not None
            waits.append((done.started_at - done.enqueued_at).total_seconds())
            time.sleep(0.005)
    return statistics.median(waits[1:])


def main() -> None:
    with bed() as on:
        mine, peer = ours(on), simple(on)
    report(
        "acceptance to start, against RQ's SimpleWorker",
        mine / peer,
        "5 ms at the median",
        atelier_ms=1000 * mine,
        rq_ms=1000 * peer,
        jobs=JOBS,
    )


if __name__ == "__main__":
    main()
