"""How long a listing and a search of an owner's 10,000 jobs take, a request at a time."""

import asyncio
import json
from argparse import ArgumentParser
from collections.abc import Sequence

import redis.asyncio

from app.core.job_record import job_key
from app.queue.job_reader import JobReader
from app.queue.job_search import MOST_EXAMINED, JobFilter
from bench.harness import measure_in_turn, parse_options, report, seconds_of
from bench.sandbox import Sandbox, open_sandbox

RARE = "heliotrope"
PROMPT = "a watercolour of a lighthouse keeper and a whale under a sky of many stars, number "


def write_jobs(sandbox: Sandbox, count: int) -> None:
    """Jobs with a prompt each; the oldest has a rare word besides."""
    ids = sorted(sandbox.submit() for _ in range(count))
    with sandbox.redis.pipeline() as pipe:
        for number, job in enumerate(ids):
            prompt = PROMPT + (str(number) if number else RARE)
            pipe.hset(job_key(job), "input", json.dumps({"prompt": prompt, "n": 1, "seed": 1}))
        pipe.execute()


async def list_all(reader: JobReader, wanted: JobFilter) -> tuple[int, int]:
    """Reads every page. Returns how many requests and how many jobs they were."""
    requests, jobs, more, after = 0, 0, True, None
    while more:
        page = await reader.list("local", JobFilter(**{**vars(wanted), "after": after}))
        requests, jobs = requests + 1, jobs + len(page.data)
        more, after = page.has_more, page.last_id
    return requests, jobs


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv, rounds=20)
    jobs = 20 if options.smoke else 10_000
    with open_sandbox() as sandbox, asyncio.Runner() as runner:
        sandbox.redis.config_set("appendfsync", "no")  # filling it up is not what is measured
        write_jobs(sandbox, jobs)

        address = sandbox.settings.redis_address
        connection = redis.asyncio.Redis.from_url(address, decode_responses=True)
        reader = JobReader(connection)
        since = int(sandbox.redis.time()[0])
        listing = JobFilter(limit=100)
        dated = JobFilter(limit=100, created_after=since - 3600, created_before=since + 3600)
        rare = JobFilter(terms=(RARE,), limit=100)

        def one(wanted: JobFilter) -> float:
            return seconds_of(lambda: runner.run(reader.list("local", wanted)))

        rounds = measure_in_turn(
            options.rounds,
            listing=lambda: one(listing),
            dated=lambda: one(dated),
            search=lambda: one(rare),
        )
        requests, matches = runner.run(list_all(reader, rare))
        whole = seconds_of(lambda: runner.run(list_all(reader, rare)))
        runner.run(connection.aclose())
    if matches != 1:
        raise RuntimeError(f"the search returned {matches} jobs instead of 1")
    report(
        f"a request that searches {min(jobs, MOST_EXAMINED):,} of {jobs:,} jobs, against a page",
        rounds.median("search") / rounds.median("listing"),
        "3 or less",
        listing_ms=1000 * rounds.median("listing"),
        dated_ms=1000 * rounds.median("dated"),
        search_ms=1000 * rounds.median("search"),
        whole_search_ms=1000 * whole,
        requests=requests,
    )


if __name__ == "__main__":
    main()
