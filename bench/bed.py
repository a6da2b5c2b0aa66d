"""A test bed: a Valkey, a checkpoint that costs nothing, and a way to report a ratio."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import torch

from app.core.settings import Settings
from app.queue.jobs import Jobs, NewJob
from atelier.service.embedded_valkey import EmbeddedServer
from bench.noop import register
from models.checkpoint.header import Header
from models.checkpoint.weights import save
from models.engine.engine import Event, Failed
from models.registry import CheckpointRegistry

RESULTS = Path(os.environ.get("ATELIER_BENCH_RESULTS", "bench/results.jsonl"))
PATIENCE = 120.0  # seconds that a job of no work may take


class Unfinished(RuntimeError):
    """A job that is measured did not complete, so its figures mean nothing."""


@dataclass
class Bed:
    """Where a benchmark runs."""

    settings: Settings
    redis: "redis.Redis"
    jobs: Jobs
    sha256: str

    def submit(self, seed: int = 1, n: int = 1) -> str:
        asked = {"n": n, "seed": seed, "output_format": "png"}
        new = NewJob("local", "image", "noop", self.sha256, asked, seed, n, {})
        return self.jobs.submit(new).job.id

    def ended(self, job: str) -> bool:
        """Whether a job is completed. Raises Unfinished where it has ended otherwise."""
        status, error = self.redis.hmget(f"rq:job:{job}", "status", "error")
        if status not in ("queued", "started", "finished"):
            raise Unfinished(f"{job} is {status}: {error}")
        return status == "finished"

    def wait(self, job: str, worker: "subprocess.Popen[Any]", seconds: float = PATIENCE) -> None:
        """Until a job is completed. Raises Unfinished where it, or its worker, ends otherwise."""
        end = time.monotonic() + seconds
        while not self.ended(job):
            if worker.poll() is not None:
                raise Unfinished(f"the worker of {job} ended with status {worker.returncode}")
            if time.monotonic() > end:
                raise Unfinished(f"{job} is not completed after {seconds:.0f} s")
            time.sleep(0.002)

    def check(self, jobs: Iterable[str]) -> None:
        """Raises Unfinished unless all of these jobs are completed."""
        if left := [job for job in jobs if not self.ended(job)]:
            raise Unfinished(f"{len(left)} jobs are not completed, {left[0]} among them")

    @property
    def environment(self) -> dict[str, str]:
        """What makes another process work on this bed."""
        return os.environ | {
            "ATELIER_STATE": str(self.settings.state),
            "ATELIER_REDIS_URL": self.settings.redis_address,
            "ATELIER_CHECKPOINTS": str(self.settings.checkpoints),
            "ATELIER_QUEUE_LIMIT": str(self.settings.queue_limit),
            "ATELIER_LOG_LEVEL": "error",
        }


@contextmanager
def bed(**changed: Any) -> Iterator[Bed]:
    """A fresh bed in a temporary folder."""
    register()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, EmbeddedServer(Path(folder)) as s:
        checkpoints = Path(folder) / "checkpoints"
        save(checkpoints / "noop.safetensors", Header(family="noop", net={}), {"w": torch.zeros(1)})
        settings = Settings(
            state=Path(folder),
            redis_url=s.url,
            checkpoints=checkpoints,
            **{"queue_limit": 1_000_000, **changed},
        )
        connection = redis.Redis.from_url(s.url, decode_responses=True, encoding_errors="replace")
        sha256 = CheckpointRegistry(checkpoints).entries()["noop"].sha256
        yield Bed(settings, connection, Jobs(connection, settings), sha256)
        connection.close()


def checked(events: list[Event]) -> list[Event]:
    """The same events. Raises Unfinished where a flow has failed."""
    for event in events:
        if isinstance(event, Failed):
            raise Unfinished(f"flow {event.id} failed: {event.error!r}") from event.error
    return events


def report(claim: str, ratio: float, reach: str, **figures: Any) -> None:
    """Print a claim's figures and its ratio, and keep them as a line of JSON."""
    shown = ", ".join(
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items()
    )
    print(f"{claim}: ratio {ratio:.3g} (reach: {reach}); {shown}", flush=True)
    line = {"claim": claim, "ratio": ratio, "reach": reach, **figures}
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def skip(claim: str, why: str) -> None:
    print(f"{claim}: skipped, {why}", file=sys.stderr)
