"""A running API, and a worker with no model."""

from collections.abc import Iterator

import httpx
import pytest
import redis

from app.settings import Settings
from tests.app.serving import Running, serving
from tests.app.working import Worker


@pytest.fixture
def running(settings: Settings) -> Iterator[Running]:
    with serving(settings) as running:
        yield running


@pytest.fixture
def api(running: Running) -> httpx.Client:
    return running.client


@pytest.fixture
def worker(connection: "redis.Redis") -> Worker:
    return Worker(connection)
