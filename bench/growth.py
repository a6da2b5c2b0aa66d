"""How cost grows: accept, claim, view and list with 100,000 jobs waiting against 100."""

import asyncio
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence

import redis.asyncio

from app.core.job_record import queue_name
from app.queue.job_reader import JobReader
from app.queue.job_search import JobFilter
from bench.harness import measure_in_turn, parse_options, report, seconds_of
from bench.sandbox import Sandbox, open_sandbox
from workers.queue_client import JobCommit, QueueCapacity, QueueClient

STAMP = "2026-01-01T00:00:00.000000Z"


def median_seconds(act: Callable[[], object], times: int) -> float:
    return measure_in_turn(times, act=lambda: seconds_of(act)).median("act")


def measure(sandbox: Sandbox, times: int) -> dict[str, float]:
    """Seconds of each act with the jobs that are waiting now."""
    client = QueueClient(sandbox.redis, "bench", sandbox.settings)
    capacity = [QueueCapacity(queue_name("noop", sandbox.sha256), True, 1)]
    last = sandbox.submit()

    def claim() -> None:
        (mine,) = client.look([], 1, capacity, STAMP).claims
        client.say([JobCommit(mine, "canceled", STAMP)])

    loop = asyncio.new_event_loop()
    connection = redis.asyncio.Redis.from_url(sandbox.settings.redis_address, decode_responses=True)
    reader, page = JobReader(connection), JobFilter(status="queued", limit=20)
    figures = {
        "accept": median_seconds(sandbox.submit, times),
        "claim": median_seconds(claim, times),
        "view": median_seconds(lambda: sandbox.jobs.fetch("local", last), times),
        "list": median_seconds(lambda: loop.run_until_complete(reader.list("local", page)), times),
    }
    loop.run_until_complete(connection.aclose())
    loop.close()
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    smoke = parse_options(ArgumentParser(description=__doc__), argv).smoke
    few, many, times = (5, 20, 3) if smoke else (100, 100_000, 200)
    with open_sandbox() as sandbox:
        for _ in range(few + times):
            sandbox.submit()
        with_few = measure(sandbox, times)
        sandbox.redis.config_set("appendfsync", "no")  # filling it up is not what is measured
        while sandbox.redis.llen("rq:queue:" + queue_name("noop", sandbox.sha256)) < many:
            sandbox.submit()
        sandbox.redis.config_set("appendfsync", "always")
        while sandbox.redis.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)
        with_many = measure(sandbox, times)
    for act, seconds in with_few.items():
        report(
            f"{act} with {many:,} jobs waiting, against {few}",
            with_many[act] / seconds,
            "1.2 or less",
            few_ms=1000 * seconds,
            many_ms=1000 * with_many[act],
        )


if __name__ == "__main__":
    main()
