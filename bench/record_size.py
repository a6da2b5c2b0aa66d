"""How much memory of Redis a job takes, by what it asks for and how far it is."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any

from app.core.job_record import queue_name
from app.core.stores.store_factory import open_store
from app.files.long_fields import split
from app.files.uploads import Uploads
from app.queue.jobs import LongInput, NewJob
from bench.harness import parse_options, report
from bench.sandbox import Sandbox, open_sandbox
from workers.queue_client import (
    Claim,
    JobCommit,
    ProgressUpdate,
    QueueCapacity,
    QueueClient,
    Stored,
)

STAMP = "2026-01-01T00:00:00.000000Z"
TEXT = "A lighthouse keeper wrote letters to a whale. " * 16_500  # 0.76 MB
PICTURE = "data:image/png;base64," + "A" * 20_000
OUTPUT = {"index": 0, "sha256": "ab" * 32, "content_type": "image/png", "bytes": 900, "seed": 1}


class Worker:
    """A queue client that remembers what it has claimed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.client = QueueClient(sandbox.redis, "bench", sandbox.settings)
        self.claims: list[Claim] = []

    def submit(self, **params: Any) -> str:
        """Submits one job, with its long fields in the store, as the API does it."""
        sandbox = self.sandbox
        short, long = split({"n": 1, "seed": 1, "output_format": "png", **params})
        long_input = None
        if long:
            data = json.dumps(long).encode()
            uploads = Uploads(sandbox.redis, open_store(sandbox.settings), sandbox.settings)
            long_input = LongInput(list(long), uploads.keep_input(data), len(data))
        new = NewJob(
            "local", "image", "noop", sandbox.sha256, short, 1, 1, {}, long_input=long_input
        )
        return sandbox.jobs.submit(new).job.id

    def claim(self) -> Claim:
        """Submits a job and claims it; earlier claims stay."""
        self.submit()
        capacity = [QueueCapacity(queue_name("noop", self.sandbox.sha256), True, 1)]
        (claim,) = self.client.look(self.claims, 1, capacity, STAMP).claims
        self.claims.append(claim)
        return claim

    def finish(self, claim: Claim, **output: str) -> None:
        self.claims.remove(claim)
        stored = Stored(OUTPUT | output, "image/png")
        self.client.say([JobCommit(claim, "finished", STAMP, [stored])])

    def cancel_long(self) -> None:
        self.sandbox.jobs.cancel("local", self.submit(text=TEXT))

    def show_previews(self) -> Claim:
        """A job of forty previews."""
        claim = self.claim()
        preview = {"job_id": claim.job, "index": 0, "url": PICTURE}
        self.client.say(
            [ProgressUpdate(claim, n, n, 40, [("preview", preview)]) for n in range(1, 41)]
        )
        return claim

    def write_words(self) -> Claim:
        """A text of 300 words, with an event for each."""
        claim = self.claim()
        delta = {"job_id": claim.job, "index": 0, "text": "letters "}
        self.client.say(
            [
                ProgressUpdate(claim, n, n, 300, [("delta", delta | {"offset": 8 * n})])
                for n in range(1, 301)
            ]
        )
        return claim


CASES: dict[str, Callable[[Worker], object]] = {
    "waiting": Worker.submit,
    "completed": lambda worker: worker.finish(worker.claim()),
    "canceled, with an input of 0.76 MB": Worker.cancel_long,
    "in progress, forty previews of 20 KB": Worker.show_previews,
    "completed, forty previews of 20 KB": lambda worker: worker.finish(worker.show_previews()),
    "in progress, 300 words": Worker.write_words,
    "completed, 300 words": lambda worker: worker.finish(
        worker.write_words(), text="letters " * 300
    ),
}


def measure(act: Callable[[Worker], object], jobs: int) -> tuple[float, float]:
    """Bytes a job takes at once, and once its event log is gone."""
    with open_sandbox() as sandbox:
        worker = Worker(sandbox)
        sandbox.redis.config_set("appendfsync", "no")
        act(worker)
        before = sandbox.redis.info("memory")["used_memory"]
        for _ in range(jobs):
            act(worker)
        soon = sandbox.redis.info("memory")["used_memory"] - before
        for job, _ in sandbox.redis.zscan_iter("atelier:logs"):
            sandbox.redis.zadd("atelier:logs", {job: 1})
        worker.client.sweep()
        later = sandbox.redis.info("memory")["used_memory"] - before
        return soon / jobs, later / jobs


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv)
    for name, act in CASES.items():
        soon, later = measure(act, 1 if options.smoke else 100)
        report(f"bytes of a job: {name}", soon, "none", after_a_minute=later)


if __name__ == "__main__":
    main()
