"""The service's wheel in clean environments, by pip, pipx and uv: `atelier up` becomes ready.

Torch and the other packages of workers are large, so these environments see those of the tests,
once it is known what `atelier up` says without them. All else is installed.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from atelier import Client
from distributions.staging import CHECKPOINTS, PACKAGES
from tests.distributions.environments import (
    SCRIPT,
    Installation,
    by_pip,
    by_pipx,
    by_uv,
    finished,
    outside,
    run,
    strict_mypy,
)
from tests.processes import running_process

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

HEAVY = Path(torch.__file__).parents[1]
EXTRAS = "pip install 'atelier-service[embedded,worker]'"
SETTINGS = {"ATELIER_PACKAGED_MODELS": "0", "ATELIER_WORKERS": "1"}
IMPORT_ALL = """
import importlib, pkgutil, warnings
import atelier_service

warnings.simplefilter("ignore")
for module in pkgutil.walk_packages(atelier_service.__path__, "atelier_service."):
    if not module.name.endswith("template_process"):  # it limits its own process
        importlib.import_module(module.name)
print("imported")
"""
ORIGIN = "import atelier; print(atelier.__file__, atelier.Client.__module__)"

once = pytest.mark.parametrize("service", [by_pip], indirect=True)
"""For what does not depend on who installed it."""

Install = Callable[[Path, Path, Path], Installation]


@pytest.fixture(scope="module", params=[by_pip, by_pipx, by_uv])
def service(
    request: pytest.FixtureRequest,
    tools: Path,
    wheels: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Installation:
    install: Install = request.param
    folder = tmp_path_factory.mktemp(install.__name__)
    return install(tools, wheels["atelier-service"], folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's own folder, where packages have the names of the repository's."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported the wrong one')")
    return tmp_path


@contextmanager
def up(service: Installation, folder: Path) -> Iterator[str]:
    """The URL of `atelier up`, once it is ready."""
    command = [str(service.command), "up", "--port", "0"]
    options = {"cwd": folder, "env": outside() | SETTINGS, "text": True}
    with (
        (folder / "log").open("w") as log,
        running_process(command, stdout=subprocess.PIPE, stderr=log, **options) as process,
    ):
        line = process.stdout.readline()
        assert line.startswith("ready "), (folder / "log").read_text()
        yield line.split()[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_it_becomes_ready(service: Installation, folder: Path) -> None:
    names = {path.stem for path in service.packages.iterdir()}
    assert not names & {*PACKAGES} - {"atelier"}
    assert (service.packages / "atelier.py").is_file()
    assert run(service.command, "--version").startswith("atelier ")

    without = finished(service.command, "up", cwd=folder)
    assert without.returncode == 1
    assert EXTRAS in without.stderr

    (service.packages / "workers.pth").write_text(f"{HEAVY}\n")
    with up(service, folder) as url:
        with Client(url) as client:
            served = {card["id"] for card in client.models()}
        assert served == {name for name in CHECKPOINTS if "/" not in name}
        run(service.command, "generate", "image", "--url", url, "-o", "a.png", cwd=folder)
        run(service.python, "-I", "-c", SCRIPT.format(url=url), cwd=folder)
    for name in ("a.png", "picture.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


@once
def test_the_client_may_be_installed_beside_it(
    service: Installation, wheels: dict[str, Path], tmp_path: Path
) -> None:
    """Neither has a file of the other. `import atelier` is the client's then, and typed in either
    case."""
    own = service.packages / "atelier.py"
    origin = run(service.python, "-I", "-c", ORIGIN).split()
    assert origin == [str(own), "atelier_service.client.client"]
    script = SCRIPT.format(url="http://127.0.0.1:8000")
    assert strict_mypy(service.python, tmp_path, script).returncode == 0

    pip = (sys.executable, "-m", "pip", "--python", service.python)
    run(*pip, "install", "--quiet", "--no-deps", wheels["atelier-client"])
    origin = run(service.python, "-I", "-c", ORIGIN).split()
    assert origin == [str(service.packages / "atelier" / "__init__.py"), "atelier.client.client"]
    assert strict_mypy(service.python, tmp_path, script).returncode == 0
    assert run(service.command, "--version").startswith("atelier ")

    run(*pip, "uninstall", "--quiet", "--yes", "atelier-client")
    assert run(service.python, "-I", "-c", ORIGIN).split()[0] == str(own)


@once
def test_every_module_of_it_can_be_imported(service: Installation, tmp_path: Path) -> None:
    assert run(service.python, "-I", "-c", IMPORT_ALL, cwd=tmp_path).endswith("imported\n")
