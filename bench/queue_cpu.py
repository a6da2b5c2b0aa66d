"""CPU time of a no-op job: the batching worker against RQ's default forking worker."""

import resource
import subprocess
import sys

import redis
from rq import Queue

from bench.bed import Bed, bed, report

JOBS = 400


def children_cpu() -> float:
    """CPU seconds of every process that has been waited for, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def burst(command: list[str], on: Bed) -> float:
    """CPU seconds of a worker that runs until there is nothing to do."""
    before = children_cpu()
    subprocess.run(command, env=on.environment, check=True, stderr=subprocess.DEVNULL)
    return children_cpu() - before


def ours(on: Bed) -> float:
    command = [sys.executable, "-m", "bench.noop", "cpu"]
    on.submit()
    idle = burst(command, on)  # start-up, and loading the model
    for i in range(JOBS + 1):
        on.submit(i)
    return (burst(command, on) - idle) / JOBS


def forking(on: Bed) -> float:
    url = on.settings.redis_address
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--quiet", "--url", url, "peer"]
    queue = Queue("peer", connection=redis.Redis.from_url(url))
    queue.enqueue("bench.nothing.nothing")
    idle = burst(command, on)
    for _ in range(JOBS + 1):
        queue.enqueue("bench.nothing.nothing")
    return (burst(command, on) - idle) / JOBS


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
