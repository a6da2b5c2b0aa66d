"""An API with a worker that paints and draws: tiny models over everything real."""

import base64
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from PIL import Image

from app.core.settings import Settings
from tests.app.serving import Running, serving
from tests.conftest import save_vae
from tests.models.families import tiny_checkpoint
from workers.main import WorkerProcess

PAINTER, DRAWER, PLAIN = "tiny-latent_diffusion", "tiny-diffusion", "plain"
ANY_SIZE = "tiny-stable_diffusion"
PLAYER = "tiny-wavenet"
WRITER = "tiny-language"


@contextmanager
def a_studio(
    redis_server: str,
    folder: Path,
    families: Sequence[str] = ("latent_diffusion", "diffusion"),
    **defaults: Any,
) -> Iterator[Running]:
    """It has a model that reads and one with labels, or those of other families, and one with
    neither. Every step previews."""
    for family in families:
        tiny_checkpoint(folder / "checkpoints", family)
    save_vae(folder / "checkpoints" / f"{PLAIN}.safetensors")
    settings = Settings(
        state=folder,
        redis_url=redis_server,
        checkpoints=folder / "checkpoints",
        **{
            "default_text_to_image_model": PAINTER,
            "default_audio_model": PLAYER,
            "default_story_model": WRITER,
        },
        preview_interval=0.001,
        **defaults,
    )
    with redis.Redis.from_url(redis_server) as connection:
        connection.flushall()
    process = WorkerProcess(settings, "painter")
    thread = threading.Thread(target=process.work, name="painter")
    thread.start()
    try:
        with serving(settings) as running:
            yield running
    finally:
        process.worker.request_stop(15, None)
        thread.join(20)
    assert not thread.is_alive()


def opened(b64_json: str | None) -> Any:
    """The picture of a reply."""
    assert b64_json is not None
    return Image.open(io.BytesIO(base64.b64decode(b64_json)))
