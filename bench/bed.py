"""A test bed: a Valkey, a checkpoint that costs nothing, and a way to report a ratio."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import torch

from app.jobs import Jobs, NewJob
from app.settings import Settings
from atelier.embedded import EmbeddedServer
from bench.noop import register
from models.checkpoint import save
from models.header import Header
from models.shelf import Shelf

RESULTS = Path(os.environ.get("ATELIER_BENCH_RESULTS", "bench/results.jsonl"))


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
        sha256 = Shelf(checkpoints).entries()["noop"].sha256
        yield Bed(settings, connection, Jobs(connection, settings), sha256)
        connection.close()


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
