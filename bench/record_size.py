"""How much memory of Redis a job takes, by what it asks for and how far it is."""

import json
from collections.abc import Callable
from typing import Any

from app.core.job_record import queue_name
from app.core.store import open_store
from app.files.long_fields import split
from app.files.uploads import Uploads
from app.queue.jobs import LongInput, NewJob
from bench.bed import Bed, bed, report
from workers.queue_client import (
    Claim,
    JobCommit,
    ProgressUpdate,
    QueueCapacity,
    QueueClient,
    Stored,
)

JOBS = 100
STAMP = "2026-01-01T00:00:00.000000Z"
TEXT = "A lighthouse keeper wrote letters to a whale. " * 16_500  # 0.76 MB
PICTURE = "data:image/png;base64," + "A" * 20_000
OUTPUT = {"index": 0, "sha256": "ab" * 32, "content_type": "image/png", "bytes": 900, "seed": 1}


class Worker(QueueClient):
    """A desk that remembers what it has claimed."""

    def __init__(self, on: Bed) -> None:
        super().__init__(on.redis, "bench", on.settings)
        self.owned: list[Claim] = []


def submit(on: Bed, **given: Any) -> str:
    """One job, with its long fields in the store, as the API does it."""
    asked = {"n": 1, "seed": 1, "output_format": "png", **given}
    short, long = split(asked)
    kept = None
    if long:
        data = json.dumps(long).encode()
        uploads = Uploads(on.redis, open_store(on.settings), on.settings)
        kept = LongInput(list(long), uploads.keep_input(data), len(data))
    new = NewJob("local", "image", "noop", on.sha256, short, 1, 1, {}, long_input=kept)
    return on.jobs.submit(new).job.id


def claimed(on: Bed, desk: Worker) -> Claim:
    """The job just submitted; what this worker has claimed before stays its own."""
    room = [QueueCapacity(queue_name("noop", on.sha256), True, 1)]
    (claim,) = desk.look(desk.owned, 1, room, STAMP).claims
    desk.owned.append(claim)
    return claim


def end(desk: Worker, claim: Claim, text: str | None = None) -> None:
    output = OUTPUT if text is None else OUTPUT | {"text": text}
    desk.owned.remove(claim)
    desk.say([JobCommit(claim, "finished", STAMP, [Stored(output, "image/png")])])


def waiting(on: Bed, desk: Worker) -> None:
    submit(on)


def ended(on: Bed, desk: Worker) -> None:
    submit(on)
    end(desk, claimed(on, desk))


def long_canceled(on: Bed, desk: Worker) -> None:
    on.jobs.cancel("local", submit(on, text=TEXT))


def followed(on: Bed, desk: Worker) -> Claim:
    """A job of forty previews."""
    job = submit(on)
    claim = claimed(on, desk)
    preview = {"job_id": job, "index": 0, "url": PICTURE}
    desk.say([ProgressUpdate(claim, n, n, 40, [("preview", preview)]) for n in range(1, 41)])
    return claim


def written(on: Bed, desk: Worker) -> Claim:
    """A text of 300 words, told word by word."""
    job = submit(on)
    claim = claimed(on, desk)
    delta = {"job_id": job, "index": 0, "text": "letters "}
    desk.say(
        [
            ProgressUpdate(claim, n, n, 300, [("delta", delta | {"offset": 8 * n})])
            for n in range(1, 301)
        ]
    )
    return claim


def followed_ended(on: Bed, desk: Worker) -> None:
    end(desk, followed(on, desk))


def written_ended(on: Bed, desk: Worker) -> None:
    end(desk, written(on, desk), "letters " * 300)


CASES: dict[str, Callable[[Bed, Worker], object]] = {
    "waiting": waiting,
    "completed": ended,
    "canceled, with an input of 0.76 MB": long_canceled,
    "in progress, forty previews of 20 KB": followed,
    "completed, forty previews of 20 KB": followed_ended,
    "in progress, 300 words": written,
    "completed, 300 words": written_ended,
}


def measure(act: Callable[[Bed, Worker], object]) -> tuple[float, float]:
    """Bytes a job takes at once, and once its event log is gone."""
    with bed() as on:
        desk = Worker(on)
        on.redis.config_set("appendfsync", "no")
        act(on, desk)
        used = on.redis.info("memory")["used_memory"]
        for _ in range(JOBS):
            act(on, desk)
        soon = on.redis.info("memory")["used_memory"] - used
        for job, _ in on.redis.zscan_iter("atelier:logs"):
            on.redis.zadd("atelier:logs", {job: 1})
        desk.sweep()
        later = on.redis.info("memory")["used_memory"] - used
        return soon / JOBS, later / JOBS


def main() -> None:
    for name, act in CASES.items():
        soon, later = measure(act)
        report(f"bytes of a job: {name}", soon, "none", after_a_minute=later)


if __name__ == "__main__":
    main()
