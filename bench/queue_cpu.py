"""CPU time of a no-op job: the batching worker against RQ's default forking worker."""

import resource
import subprocess
import sys

import redis
from rq import Queue

from bench.bed import Bed, Unfinished, bed, report

JOBS = 400


def children_cpu() -> float:
    """CPU seconds of every process that has been waited for, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(on: Bed) -> float:
    """CPU seconds a job of a worker that is warm; a second burst, so without its start-up."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "bench.noop"],
        env=on.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    used = 0.0
    for jobs in (50, JOBS):
        ids = [on.submit(i) for i in range(jobs)]
        worker.stdin.write("go\n")
        worker.stdin.flush()
        answer = worker.stdout.readline()
        on.check(ids)
        used = float(answer)
    worker.wait()
    return used / JOBS


def forking(on: Bed) -> float:
    """The same of RQ's default worker and its children, less those of a burst of one job."""
    url = on.settings.redis_address
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--quiet", "--url", url, "peer"]
    queue = Queue("peer", connection=redis.Redis.from_url(url))
    used = []
    for jobs in (1, JOBS + 1):
        for _ in range(jobs):
            queue.enqueue("bench.nothing.nothing")
        before, done = children_cpu(), queue.finished_job_registry.count
        subprocess.run(command, env=on.environment, check=True, stderr=subprocess.DEVNULL)
        used.append(children_cpu() - before)
        if queue.finished_job_registry.count - done != jobs:
            raise Unfinished("RQ's worker did not complete its jobs")
    return (used[1] - used[0]) / JOBS


def main() -> None:
    with bed() as on:
        mine, peer = ours(on), forking(on)
    report(
        "CPU of a no-op job, against RQ's forking worker",
        mine / peer,
        "0.2 or less, 2 ms or less",
        atelier_ms=1000 * mine,
        rq_ms=1000 * peer,
        jobs=JOBS,
    )


if __name__ == "__main__":
    main()
