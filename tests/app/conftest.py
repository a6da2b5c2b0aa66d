"""A running API, which a test finds without jobs, and a worker with no model."""

from collections.abc import Iterator

import httpx
import pytest
import redis

from app.settings import Settings
from tests.app.serving import Running, serving
from tests.app.working import Worker
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
