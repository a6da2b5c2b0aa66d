"""How cost grows: accept, claim, view and list with 100,000 jobs waiting against 100."""

import asyncio
import statistics
import time
from collections.abc import Callable

import redis.asyncio

from app.core.job_record import queue_name
from app.queue.jobs import JobFilter, JobReader
from bench.bed import Bed, bed, report
from workers.queue_client import JobCommit, QueueCapacity, QueueClient

FEW, MANY, TIMES = 100, 100_000, 200
STAMP = "2026-01-01T00:00:00.000000Z"


def median(act: Callable[[], object]) -> float:
    """Median seconds of an act."""
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure(on: Bed) -> dict[str, float]:
    """Seconds of each act, as the queue stands."""
    desk = QueueClient(on.redis, "bench", on.settings)
    room = [QueueCapacity(queue_name("noop", on.sha256), True, 1)]
    last = on.submit()

    def claim() -> None:
        (mine,) = desk.look([], 1, room, STAMP).claims
        desk.say([JobCommit(mine, "canceled", STAMP)])

    loop = asyncio.new_event_loop()
    reader = JobReader(
        redis.asyncio.Redis.from_url(on.settings.redis_address, decode_responses=True)
    )
    page = JobFilter(status="queued", limit=20)
    figures = {
        "accept": median(on.submit),
        "claim": median(claim),
        "view": median(lambda: on.jobs.fetch("local", last)),
        "list": median(lambda: loop.run_until_complete(reader.list("local", page))),
    }
    loop.close()
    return figures


def main() -> None:
    with bed() as on:
        for _ in range(FEW + TIMES):
            on.submit()
        few = measure(on)
        on.redis.config_set("appendfsync", "no")  # filling it up is not what is measured
        while on.redis.llen("rq:queue:" + queue_name("noop", on.sha256)) < MANY:
            on.submit()
        on.redis.config_set("appendfsync", "always")
        while on.redis.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)
        many = measure(on)
    for act, seconds in few.items():
        report(
            f"{act} with {MANY:,} jobs waiting, against {FEW}",
            many[act] / seconds,
            "1.2 or less",
            few_ms=1000 * seconds,
            many_ms=1000 * many[act],
        )


if __name__ == "__main__":
    main()
