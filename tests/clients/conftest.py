"""A service as the documentation has it for other programs: aliases, any size, the web UI's API."""

from collections.abc import Iterator

import pytest

from tests.app.serving import Running
from tests.app.studio import PAINTER, WRITER, a_studio

FAMILIES = ("latent_diffusion", "diffusion", "language", "video_diffusion")
ALIASES = f"dall-e-2={PAINTER},dall-e-3={PAINTER},gpt-image-1={PAINTER},gpt-4o={WRITER}"


@pytest.fixture(scope="session")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {"aliases": ALIASES, "sizes": "nearest", "sdapi": "true"}
    folder = tmp_path_factory.mktemp("clients")
    video = {"default_video_model": "tiny-video_diffusion"}
    with a_studio(redis_server, folder, FAMILIES, **settings, **video) as running:
        yield running
