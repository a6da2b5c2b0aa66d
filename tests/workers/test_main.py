"""Where a worker puts models, and in which precision, by its settings."""

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
import torch

from app.core.addresses import path_url
from app.core.settings import Misconfigured, Settings
from app.core.stores.store_factory import open_store
from atelier.service.embedded_valkey import find_server
from models.engine.batching import Placement
from workers.main import WorkerProcess, placement_of, wait_for_redis

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("asked", "placement"),
    [
        ({}, Placement(CPU)),
        ({"dtype": "bfloat16"}, Placement(CPU, torch.bfloat16)),
        ({"language_dtype": "int8"}, Placement(CPU, language_dtype=torch.int8)),
        ({"language_dtype": "float32"}, Placement(CPU, language_dtype=torch.float32)),
        (
            {"dtype": "bfloat16", "language_dtype": "float32"},
            Placement(CPU, torch.bfloat16, torch.float32),
        ),
    ],
)
def test_models_go_where_the_settings_say(
    asked: dict[str, Any], placement: Placement, tmp_path: Path
) -> None:
    settings = Settings(state=tmp_path, device="cpu", model_memory=2**31, **asked)
    assert placement_of(settings) == replace(placement, memory_limit=2**31)


def test_a_worker_does_not_wait_for_a_redis_that_refuses_its_password(
    connection: redis.Redis, settings: Settings
) -> None:
    connection.config_set("requirepass", "right")
    try:
        with pytest.raises(Misconfigured, match="wants a password"):
            wait_for_redis(settings)
    finally:
        connection.config_set("requirepass", "")


def test_a_worker_registers_where_the_path_of_the_socket_has_spaces(
    settings: Settings,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="s-"))
    socket = folder / "with = space.sock"
    command = [find_server(), "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""]
    odd = settings.model_copy(update={"redis_url": path_url("unix", socket)})
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        wait_for_redis(odd)
        process = WorkerProcess(odd, "odd")
        assert process.worker.ip_address == "unknown"
        process.worker.connection.close()
        server.terminate()
    shutil.rmtree(folder)


def test_a_store_that_can_not_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    address = path_url("file", tmp_path / "file" / "artifacts")
    with pytest.raises(Misconfigured, match=r"^ATELIER_STORE: .*: Not a directory$"):
        open_store(Settings(state=tmp_path, store=address))
    with pytest.raises(Misconfigured, match=r"^ATELIER_STATE: .*: Not a directory$"):
        open_store(Settings(state=tmp_path / "file"))


def test_a_device_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="ATELIER_DEVICE: toaster can't be used"):
        placement_of(Settings(state=tmp_path, device="toaster"))
