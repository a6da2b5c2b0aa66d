"""From acceptance to start, one job at a time on an idle worker, against RQ's SimpleWorker."""

import statistics
import time
from argparse import ArgumentParser
from collections.abc import Sequence

import redis
from rq import Queue
from rq.job import Job

from bench.harness import Unfinished, parse_options, report
from bench.sandbox import Sandbox, open_sandbox


def seconds_to_start(sandbox: Sandbox, jobs: int) -> float:
    """Median seconds between the two stamps that the server's clock set."""
    with sandbox.running("-m", "bench.noop") as worker:
        waits = []
        for seed in range(jobs + 1):
            job = sandbox.submit(seed)
            sandbox.wait(job, worker)
            stamps = sandbox.redis.hmget(f"rq:job:{job}", "created", "started")
            created, started = (float(stamp or 0) for stamp in stamps)
            waits.append(started - created)
            time.sleep(0.005)
    return statistics.median(waits[1:])  # the first waited for its model


def seconds_to_start_by_rq(sandbox: Sandbox, jobs: int) -> float:
    url = sandbox.settings.redis_address
    command = ["-m", "rq.cli", "worker", "--quiet", "--url", url]
    command += ["--worker-class", "rq.worker.SimpleWorker", "peer"]
    waits = []
    with redis.Redis.from_url(url) as connection, sandbox.running(*command) as worker:
        queue = Queue("peer", connection=connection)
        for _ in range(jobs + 1):
            job = queue.enqueue("bench.empty_job.do_nothing")
            while not Job.fetch(job.id, connection).is_finished:
                if Job.fetch(job.id, connection).is_failed or worker.poll() is not None:
                    raise Unfinished(f"{job.id} is not completed")
                time.sleep(0.002)
            finished = Job.fetch(job.id, connection)
            assert finished.started_at is not None
            assert finished.enqueued_at is not None
            waits.append((finished.started_at - finished.enqueued_at).total_seconds())
            time.sleep(0.005)
    return statistics.median(waits[1:])


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv)
    jobs = 2 if options.smoke else 200
    with open_sandbox() as sandbox:
        ours, peer = seconds_to_start(sandbox, jobs), seconds_to_start_by_rq(sandbox, jobs)
    report(
        "acceptance to start, against RQ's SimpleWorker",
        ours / peer,
        "5 ms at the median",
        atelier_ms=1000 * ours,
        rq_ms=1000 * peer,
        jobs=jobs,
    )


if __name__ == "__main__":
    main()
