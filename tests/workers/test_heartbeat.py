"""The watchdog, and upkeep that outlives any trouble."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.workers.conftest import Bench
from workers.heartbeat import HUNG, attempt

HANGING = """
import sys, threading, time
from pathlib import Path
import torch
from app.core.settings import Settings
from models.engine.batching import BatchedFn
from models.image.vae import VAE
from workers.main import WorkerProcess

class Hanging(VAE):
    def __init__(self, checkpoint, place):
        super().__init__(checkpoint, place)
        self.loaded = True

    def _decode(self, z):
        if vars(self).get("loaded") and threading.current_thread() is threading.main_thread():
            time.sleep(60)
        return super()._decode(z)

import models.image.vae
models.image.vae.VAE = Hanging
WorkerProcess(Settings(hang_timeout=0.5, heartbeat=0.1), "hanging").work()
"""


@pytest.mark.slow
def test_a_step_that_hangs_ends_the_worker_and_its_job_runs_elsewhere(bench: Bench) -> None:
    job = bench.submit()
    settings = bench.settings
    environment = {
        "ATELIER_STATE": str(settings.state),
        "ATELIER_REDIS_URL": settings.redis_address,
        "ATELIER_CHECKPOINTS": str(settings.checkpoints),
        "ATELIER_LEASE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    hung = subprocess.run(
        [sys.executable, "-c", HANGING],
        env=environment,
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert hung.returncode == HUNG, hung.stderr.decode()[-2000:]
    assert bench.fetch(job).status == "in_progress"
    bench.worker("healthy")
    ended = bench.wait(job)
    assert (ended.status, ended.attempt) == ("completed", 2)
    assert bench.record(job)["deaths"] == "1"


def test_upkeep_goes_on_after_an_error() -> None:
    def fails() -> None:
        raise ValueError("no")

    attempt(fails)  # it is logged, not raised


@pytest.mark.slow
def test_facts_can_be_read_while_jobs_come_and_go(bench: Bench) -> None:
    process = bench.worker()
    stop, problems = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                process.loop.facts()
            except RuntimeError as error:
                problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(30):
        bench.submit(i)
    bench.wait(bench.submit(99))
    time.sleep(0.05)
    stop.set()
    reader.join()
    assert problems == []
