"""CPU time of a no-op job: the batching worker against RQ's default forking worker."""

import resource
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

import redis
from rq import Queue

from bench.harness import Unfinished, parse_options, report
from bench.sandbox import Sandbox, open_sandbox


def children_cpu() -> float:
    """CPU seconds of every child process that has been waited for, and of its children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds_of_ours(sandbox: Sandbox, jobs: int) -> float:
    """CPU seconds a job of a warm worker: the second burst, so without its start-up."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with sandbox.running("-m", "bench.noop", "bursts", text=True, **pipes) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        for count in (min(50, jobs), jobs):
            ids = [sandbox.submit(i) for i in range(count)]
            worker.stdin.write("\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
            sandbox.check(ids)
        worker.stdin.close()
        worker.stdout.close()
    return float(line) / jobs


def seconds_of_rq(sandbox: Sandbox, jobs: int) -> float:
    """CPU seconds a job of RQ's default worker and its children, less a burst of one job."""
    url = sandbox.settings.redis_address
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--quiet", "--url", url, "peer"]
    seconds = []
    with redis.Redis.from_url(url) as connection:
        queue = Queue("peer", connection=connection)
        for count in (1, jobs + 1):
            for _ in range(count):
                queue.enqueue("bench.empty_job.do_nothing")
            before, finished = children_cpu(), queue.finished_job_registry.count
            subprocess.run(command, env=sandbox.environment, check=True, stderr=subprocess.DEVNULL)
            seconds.append(children_cpu() - before)
            if queue.finished_job_registry.count - finished != count:
                raise Unfinished("RQ's worker did not complete its jobs")
    return (seconds[1] - seconds[0]) / jobs


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv)
    jobs = 2 if options.smoke else 400
    with open_sandbox() as sandbox:
        ours, peer = seconds_of_ours(sandbox, jobs), seconds_of_rq(sandbox, jobs)
    report(
        "CPU of a no-op job, against RQ's forking worker",
        ours / peer,
        "0.2 or less, 2 ms or less",
        atelier_ms=1000 * ours,
        rq_ms=1000 * peer,
        jobs=jobs,
    )


if __name__ == "__main__":
    main()
