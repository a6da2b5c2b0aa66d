"""A Valkey and a checkpoint that costs nothing, for the benches of the queue."""

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
from bench.harness import Unfinished
from bench.noop import register
from models.checkpoint.header import Header
from models.checkpoint.weights import save
from models.registry import CheckpointRegistry

TIMEOUT = 120.0  # seconds that a job of no work may take


@dataclass
class Sandbox:
    """Where a benchmark of the queue runs."""

    settings: Settings
    redis: "redis.Redis"
    jobs: Jobs
    sha256: str

    def submit(self, seed: int = 1, n: int = 1) -> str:
        params = {"n": n, "seed": seed, "output_format": "png"}
        new = NewJob("local", "image", "noop", self.sha256, params, seed, n, {})
        return self.jobs.submit(new).job.id

    def completed(self, job: str) -> bool:
        """Whether a job is completed. Raises Unfinished if it has ended otherwise."""
        status, error = self.redis.hmget(f"rq:job:{job}", "status", "error")
        if status not in ("queued", "started", "finished"):
            raise Unfinished(f"{job} is {status!r}: {error!r}")
        return status == "finished"

    def wait(self, job: str, worker: "subprocess.Popen[Any]", seconds: float = TIMEOUT) -> None:
        """Waits until a job is completed. Raises Unfinished if it, or its worker, fails."""
        end = time.monotonic() + seconds
        while not self.completed(job):
            if worker.poll() is not None:
                raise Unfinished(f"the worker of {job} ended with status {worker.returncode}")
            if time.monotonic() > end:
                raise Unfinished(f"{job} is not completed after {seconds:.0f} s")
            time.sleep(0.002)

    def check(self, jobs: Iterable[str]) -> None:
        """Raises Unfinished unless all of these jobs are completed."""
        if left := [job for job in jobs if not self.completed(job)]:
            raise Unfinished(f"{len(left)} jobs are not completed, {left[0]} among them")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make another process work on this sandbox."""
        return os.environ | {
            "ATELIER_STATE": str(self.settings.state),
            "ATELIER_REDIS_URL": self.settings.redis_address,
            "ATELIER_CHECKPOINTS": str(self.settings.checkpoints),
            "ATELIER_QUEUE_LIMIT": str(self.settings.queue_limit),
            "ATELIER_LOG_LEVEL": "error",
        }

    @contextmanager
    def running(self, *command: str, **options: Any) -> Iterator["subprocess.Popen[Any]"]:
        """A Python process on this sandbox; it is terminated at the end."""
        process = subprocess.Popen(
            [sys.executable, *command],
            env=self.environment,
            stderr=subprocess.DEVNULL,
            **options,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


@contextmanager
def open_sandbox() -> Iterator[Sandbox]:
    """A fresh sandbox in a temporary folder."""
    register()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        EmbeddedServer(Path(folder)) as server,
        redis.Redis.from_url(
            server.url, decode_responses=True, encoding_errors="replace"
        ) as connection,
    ):
        checkpoints = Path(folder) / "checkpoints"
        save(checkpoints / "noop.safetensors", Header(family="noop", net={}), {"w": torch.zeros(1)})
        settings = Settings(
            state=Path(folder),
            redis_url=server.url,
            checkpoints=checkpoints,
            queue_limit=1_000_000,
        )
        sha256 = CheckpointRegistry(checkpoints).entries()["noop"].sha256
        yield Sandbox(settings, connection, Jobs(connection, settings), sha256)
