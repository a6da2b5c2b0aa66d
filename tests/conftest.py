"""What many tests share: a real Valkey, settings of their own, and tiny checkpoints."""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.utils
import torch

from app.core.settings import Settings
from atelier.service.embedded_valkey import EmbeddedServer
from models.checkpoint.header import Header
from models.checkpoint.weights import save
from models.nets.vae import VAENet
from tests.scheduling import FileScheduling, rank

NET: dict[str, Any] = {"size": 28, "channels": 1, "width": 4, "latent": 4}
MODEL = "ddpm-fashion"


IN_PARALLEL = "PYTEST_XDIST_WORKER" in os.environ
"""Whether this is one of several processes that test side by side."""


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, since those that start the service mostly wait for it; four at
    most, since each holds torch."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it puts in the background so, and commands under test inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if IN_PARALLEL:
        torch.set_num_threads(1)  # the other cores have tests of their own
    # redis-py reads the version of its package from disk for every connection.
    vars(redis.utils)["get_lib_version"] = cache(redis.utils.get_lib_version)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the tests that take longest."""
    items.sort(key=lambda item: rank(item.nodeid))


def pytest_collection_finish() -> None:
    """Leaves torch and all tests out of garbage collections, of which every load of a model has
    one."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    config.option.loadscopereorder = False  # else the files with the most tests come first
    return FileScheduling(config, log)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Valkey that lives as long as the tests; in a short path, for its socket.

    Most time of a test would go to `fsync`. Tests of what outlives a kill start their own server.
    """
    with (
        tempfile.TemporaryDirectory(prefix="atelier-") as folder,
        EmbeddedServer(Path(folder)) as server,
    ):
        with redis.Redis.from_url(server.url) as client:
            client.config_set("appendfsync", "no")
        yield server.url


@pytest.fixture
def connection(redis_server: str) -> Iterator["redis.Redis"]:
    """A connection to the server, which a test finds empty."""
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        client.flushall()
        yield client


def vae_header(**changes: object) -> Header:
    return Header.model_validate({"family": "vae", "net": NET, "title": "Clothes", **changes})


def save_vae(path: Path, **changes: object) -> Path:
    """A whole checkpoint of a few kilobytes, its header changed as told."""
    torch.manual_seed(0)
    save(path, vae_header(**changes), VAENet(**NET).state_dict())
    return path


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A folder with one tiny model in it."""
    folder = tmp_path / "checkpoints"
    save_vae(folder / f"{MODEL}.safetensors")
    return folder


@pytest.fixture
def settings(
    tmp_path: Path, redis_server: str, connection: "redis.Redis", checkpoints: Path
) -> Settings:
    return Settings(
        state=tmp_path / "state",
        redis_url=redis_server,
        checkpoints=checkpoints,
        queue_limit=300,
        max_upload=200_000,
        max_body=100_000,
    )
