"""The whole service as its users start it: `atelier up`, with the shipped checkpoints."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from atelier.service.supervisor import free_port
from models.checkpoint.weights import load, save
from tests.models.families import tiny_checkpoint, tiny_composing

PAINTER, WRITER = "tiny-latent_diffusion", "tiny-language"


class Stack:
    """A running service."""

    def __init__(self, state: Path, **changed: str) -> None:
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = state / "log"
        command = [sys.executable, "-m", "atelier", "up", "--port", str(self.port)]
        command += ["--state", str(state)]
        # Importing a packaged model takes a minute. The other cores have tests of their own.
        changed = {"ATELIER_PACKAGED_MODELS": "false", "ATELIER_THREADS": "1"} | changed
        self._out = self.log.open("w")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._out, env=os.environ | changed, text=True
        )

    def wait_until_ready(self, seconds: float = 100) -> None:
        assert self.process.stdout is not None
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        assert line == f"ready {self.url}\n", self.log.read_text()[-3000:]

    def load(self, *models: str) -> None:
        """Has a job done by each model, so that none is loaded while a client waits."""
        with httpx.Client(base_url=self.url, timeout=100) as client:
            for model in models:
                card = client.get(f"/models/{model}").raise_for_status().json()
                fields = card["params"]["properties"]
                body = {
                    name: fields[name]["examples"][0]
                    for name in {"prompt", "texts"} & fields.keys()
                }
                small = {name: 2 for name in ("steps", "seconds", "max_tokens") if name in fields}
                path, asked = f"/generate/{card['modality']}", {"Prefer": "wait=60"}
                job = client.post(
                    path, json={**body, **small, "model": model}, headers=asked
                ).json()
                while job["status"] in ("queued", "in_progress"):
                    job = client.get(job["urls"]["self"]).raise_for_status().json()
                assert job["status"] == "completed", job

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._out.close()
        return status


@contextmanager
def running(writer: str | None = None, patience: float = 100, **changed: str) -> Iterator[Stack]:
    """A service with these settings, and a tiny model by this name that writes."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as folder:
        state = Path(folder)
        if writer:
            path = tiny_checkpoint(state / "checkpoints", "language")
            path = path.rename(path.with_name(f"{writer}.safetensors"))
            tiny, room = load(path), {"defaults": {"max_tokens": 400}}  # for a poem of bytes
            save(path, tiny.header.model_copy(update=room), tiny.tensors)
        stack = Stack(state, **changed)
        try:
            stack.wait_until_ready(patience)
            yield stack
        finally:
            stack.stop()


FAST = {"ATELIER_LEASE": "1", "ATELIER_HEARTBEAT": "0.2", "ATELIER_SWEEP_INTERVAL": "0.2"}
"""A worker that was killed is missed soon."""


def save_makers(folder: Path) -> None:
    """Saves tiny models of music, with a composer, and of videos, under the names of the defaults,
    and one of texts."""
    tiny_composing(folder, "wavenet").rename(folder / "wavenet-music.safetensors")
    film = tiny_checkpoint(folder, "video_diffusion")
    film.rename(folder / "video-diffusion-emoji.safetensors")
    tiny_checkpoint(folder, "language")


@pytest.fixture(scope="package")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One service for all tests of painting. It shows previews as often as it can."""
    folder = tmp_path_factory.mktemp("painter")
    tiny_checkpoint(folder, "latent_diffusion")
    settings = {"ATELIER_DEFAULT_TEXT_TO_IMAGE_MODEL": PAINTER, "ATELIER_PREVIEW_INTERVAL": "0.01"}
    with running(ATELIER_CHECKPOINTS=str(folder), **settings) as service:
        yield service


@pytest.fixture(scope="package")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One service for all tests of music, videos and texts."""
    folder = tmp_path_factory.mktemp("studio")
    save_makers(folder)
    settings = {"ATELIER_DEFAULT_STORY_MODEL": WRITER}
    with running(ATELIER_CHECKPOINTS=str(folder), **settings) as service:
        yield service


@pytest.fixture(scope="package")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The same service for tests that kill its worker."""
    folder = tmp_path_factory.mktemp("mortal")
    save_makers(folder)
    with running(ATELIER_CHECKPOINTS=str(folder), **FAST) as service:
        yield service


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """One service for all tests that leave it as it was; it writes, if with tiny weights."""
    with running("smollm2-135m") as started:
        yield started
