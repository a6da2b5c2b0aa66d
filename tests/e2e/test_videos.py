"""Videos over the whole service: the README's lines, OpenAI's package, and the same bytes again."""

import io
import os
import signal
import threading
from pathlib import Path
from typing import Any

import av
import httpx
import openai
import pytest
from PIL import Image

from atelier import Client
from tests.e2e.conftest import Stack
from tests.e2e.test_music import worker_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning"),  # OpenAI's own
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 64), "orange").save(tmp_path / "emoji.png")
    return tmp_path


def frames_of(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as box:
        return len(list(box.decode(video=0)))


def test_openai_makes_fetches_lists_and_deletes(studio: Stack) -> None:
    few: dict[str, Any] = {"steps": 2, "frames": 8, "seed": 5}
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none") as client:
        video = client.videos.create_and_poll(prompt="a dog", poll_interval_ms=50, extra_body=few)
        assert (video.status, video.progress, video.seconds) == ("completed", 100, "1")
        content = client.videos.download_content(video.id).read()
        assert frames_of(content) == 8
        assert video.id in [video.id for video in client.videos.list()]
        again = client.videos.create_and_poll(prompt="a dog", poll_interval_ms=50, extra_body=few)
        assert client.videos.download_content(again.id).read() == content
        assert client.videos.delete(video.id).deleted
        assert client.videos.download_content(again.id).read() == content  # shared, and still there
        with pytest.raises(openai.NotFoundError):
            client.videos.retrieve(video.id)


def test_a_client_that_leaves_leaves_its_video_to_be_fetched(studio: Stack) -> None:
    with Client(studio.url) as client:
        job = client.video("a dog", steps=100, frames=16)

        def follow() -> None:
            with httpx.stream("GET", f"{studio.url}{job.path}/events", timeout=30) as answer:
                next(answer.iter_bytes())

        leaving = threading.Thread(target=follow)
        leaving.start()
        leaving.join()
        assert job.wait(100).status == "completed"
        assert frames_of(job.outputs[0].read()) == 16


def test_a_video_outlives_the_worker(mortal: Stack) -> None:
    with Client(mortal.url, timeout=60) as client:
        once = client.video("a dog", steps=50, frames=4, seed=6).wait(100)
        worker = worker_of(mortal)
        job = client.video("a dog", steps=50, frames=4, seed=6)
        next(event for event in job.events() if event.name == "progress")
        os.kill(worker, signal.SIGKILL)
        assert job.wait(100).outputs[0].sha256 == once.outputs[0].sha256
