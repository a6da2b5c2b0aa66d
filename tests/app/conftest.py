"""A running API, which a test finds without jobs, and a worker with no model."""

from collections.abc import Iterator

import httpx
import openai
import pytest
import redis

from app.core.settings import Settings
from tests.app.serving import Running, serving
from tests.app.studio import a_studio
from tests.app.working import Worker
from tests.app.written import TEXT
from tests.conftest import MODEL, save_vae


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, redis_server: str) -> Iterator[Running]:
    """One API for all tests that need no settings of their own."""
    folder = tmp_path_factory.mktemp("api")
    save_vae(folder / "checkpoints" / f"{MODEL}.safetensors")
    settings = Settings(
        state=folder,
        redis_url=redis_server,
        checkpoints=folder / "checkpoints",
        queue_limit=300,
        max_upload=200_000,
        max_body=100_000,
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def running(server: Running, connection: "redis.Redis") -> Running:
    return server


@pytest.fixture
def api(running: Running) -> httpx.Client:
    return running.client


@pytest.fixture
def worker(connection: "redis.Redis") -> Worker:
    return Worker(connection)


@pytest.fixture(scope="module")
def writing(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service whose worker writes; its model is loaded, so that no test slows its proof."""
    with a_studio(redis_server, tmp_path_factory.mktemp("studio"), ("language",)) as running:
        patient = {"timeout": 110}  # on a new machine its kernels are compiled now
        assert running.client.post("/v1/completions", json=TEXT, **patient).is_success
        yield running


@pytest.fixture
def stock(writing: Running) -> Iterator[openai.OpenAI]:
    """OpenAI's own client of it, that tries once."""
    url = f"{writing.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client
