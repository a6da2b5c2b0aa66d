"""A worker in a thread of the test, over a real server and real files."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import torch

from app.catalog.request_models import formats_of
from app.core.schemas import TERMINAL, Job
from app.core.scripts import Scripts
from app.core.settings import Settings
from app.core.stores.store_factory import store_at
from app.files.uploads import Uploads
from app.queue.jobs import Jobs, NewJob
from models.artifacts import Image
from models.engine.flow import Inputs, Step
from models.families import FAMILIES
from models.image.vae import VAE
from models.params.base import VAEParams
from models.params.fields import posted_fields
from models.registry import CheckpointRegistry
from tests.models.families import tiny_checkpoint
from workers.main import WorkerProcess, connect
from workers.queue_client import QueueClient


class Bench:
    """Settings, jobs, store and as many workers as a test asks for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis: redis.Redis = connect(settings)
        self.jobs = Jobs(self.redis, settings)
        self.store = store_at(settings.store_address)
        self._running: list[tuple[WorkerProcess, threading.Thread]] = []

    def sha256(self, model: str) -> str:
        return CheckpointRegistry(self.settings.checkpoints).entries()[model].sha256

    def new(self, seed: int = 1, n: int = 1, model: str = "tiny-vae", **params: Any) -> NewJob:
        entry = CheckpointRegistry(self.settings.checkpoints).entries()[model]
        family = FAMILIES[entry.header.family]
        kind = formats_of(entry.header, family)[0]
        asked = {"n": n, "seed": seed, "output_format": kind, **params}
        rows = params.get("interpolate", {}).get("frames", 1)
        inputs = {k: v for k, v in params.items() if k in posted_fields(family.params)}
        target = (family.modality, model, entry.sha256)
        return NewJob("local", *target, asked, seed, n, {}, rows, inputs)

    def submit(self, seed: int = 1, n: int = 1, model: str = "tiny-vae", **params: Any) -> str:
        return self.jobs.submit(self.new(seed, n, model, **params)).job.id

    def post(self, data: bytes, owner: str = "local") -> str:
        """Bring a file, as a client does; its hash."""
        return Uploads(self.redis, self.store, self.settings).keep(owner, io.BytesIO(data)).sha256

    def references(self, sha256: str) -> int:
        """How many uploads and jobs refer to these bytes."""
        return int(self.redis.hget(f"atelier:artifact:{sha256}", "refs") or 0)

    def fetch(self, job: str) -> Job:
        return self.jobs.fetch("local", job)

    def record(self, job: str) -> dict[str, str]:
        return self.redis.hgetall(f"rq:job:{job}")

    def events(self, job: str) -> list[str]:
        return [entry["event"] for _, entry in self.redis.xrange(f"atelier:events:{job}")]

    def follow(self, job: str) -> None:
        """Be someone who follows a job, for longer than a test lasts."""
        Scripts(self.redis).run("follow", job, 1000)

    def wait(self, job: str, seconds: float = 60) -> Job:
        self.until(lambda: self.fetch(job).status in TERMINAL, seconds)
        return self.fetch(job)

    def until(self, true: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not come true in time"
            time.sleep(0.005)

    def client(self, worker: str, **changed: Any) -> QueueClient:
        """What a worker of this name can say, without being one."""
        return QueueClient(self.redis, worker, self.settings.model_copy(update=changed))

    def worker(self, name: str = "one", **changed: Any) -> WorkerProcess:
        settings = self.settings.model_copy(update=changed)
        process = WorkerProcess(settings, name)
        thread = threading.Thread(target=process.work, name=name)
        thread.start()
        self._running.append((process, thread))
        return process

    def stop(self, process: WorkerProcess, seconds: float = 10) -> None:
        process.worker.request_stop(15, None)
        for running in list(self._running):
            if running[0] is process:
                running[1].join(seconds)
                assert not running[1].is_alive(), "the worker does not stop"
                self._running.remove(running)

    def close(self) -> None:
        for process, _ in list(self._running):
            process.worker.request_stop(15, None)  # twice: at once
            self.stop(process)
        self.redis.close()


@pytest.fixture
def bench(redis_server: str, connection: redis.Redis, tmp_path: Path) -> Iterator[Bench]:
    checkpoints = tmp_path / "checkpoints"
    tiny_checkpoint(checkpoints, "vae")
    tiny_checkpoint(checkpoints, "gan")
    settings = Settings(
        state=tmp_path,
        redis_url=redis_server,
        checkpoints=checkpoints,
        lease=1.0,
        heartbeat=0.2,
        sweep_interval=0.2,
        drain_grace=5.0,
    )
    opened = Bench(settings)
    yield opened
    opened.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes the VAE a story of many steps of 5 ms, which goes on until the event is set."""
    go_on = threading.Event()

    async def story(self: VAE, params: VAEParams, rng: torch.Generator, inputs: Inputs) -> Any:
        z = torch.randn(8, generator=rng) * params.temperature
        steps = 0
        while not go_on.is_set():
            time.sleep(0.005)
            steps += 1
            await Step(self.decode, (z,), progress=(min(steps, 999), 1000))
        return (Image(await Step(self.decode, (z,), progress=(1000, 1000))),)

    monkeypatch.setattr(VAE, "generate", story)
    return go_on
