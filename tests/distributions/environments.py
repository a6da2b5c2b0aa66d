"""Clean environments: how the tests make them, install into them, and run what is there."""

import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.docs import ROOT
from tests.packages import PIP

SCRIPT = """
from pathlib import Path

from atelier import Client, Job, Output


def first(job: Job) -> Output:
    return job.wait().outputs[0]


with Client("{url}", max_retries=5) as client:
    path: Path = first(client.image(n=1, seed=7)).save("picture.png")
"""


@dataclass(frozen=True)
class Installation:
    """An environment's Python, and the command that an installation brought."""

    python: Path
    command: Path

    @property
    def packages(self) -> Path:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        return Path(run(self.python, "-c", code).strip())


def run(*command: str | Path, cwd: Path = ROOT, **changes: str) -> str:
    """What a command prints. It sees the environment of the tests, but none of their modules."""
    done = finished(*command, cwd=cwd, **changes)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def finished(*command: str | Path, cwd: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    """A command that has ended, with whatever status."""
    env, limit = outside() | changes, 500
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=limit, check=False
    )


def outside() -> dict[str, str]:
    """The variables of a shell that is not in the tests' environment."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def new_environment(folder: Path) -> Path:
    """The Python of a new environment."""
    run(sys.executable, "-m", "venv", folder)
    return folder / "bin" / "python"


def strict_mypy(python: Path, folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Checks a script with the packages that this Python has."""
    (folder / "script.py").write_text(script)
    options = ["--strict", "--python-executable", str(python), "--cache-dir", str(folder / "types")]
    return finished(sys.executable, "-m", "mypy", *options, "script.py", cwd=folder)


def by_pip(tools: Path, wheel: Path, folder: Path) -> Installation:
    """`pip install .` in the repository, which builds the wheel anew."""
    python = new_environment(folder)
    run(python, "-m", "pip", "install", "--quiet", ".")
    return Installation(python, python.with_name("atelier"))


def by_pipx(tools: Path, wheel: Path, folder: Path) -> Installation:
    folders = {"PIPX_HOME": str(folder), "PIPX_BIN_DIR": str(folder / "bin")}
    run(sys.executable, "-m", "pipx", "install", wheel, PYTHONPATH=str(tools), **folders)
    python = folder / "venvs" / "atelier-service" / "bin" / "python"
    return Installation(python, folder / "bin" / "atelier")


def by_uv(tools: Path, wheel: Path, folder: Path) -> Installation:
    """With uv configured as pip is."""
    script = runpy.run_path(str(ROOT / ".ci" / "install.py"))
    listing = subprocess.check_output([*PIP, "config", "list"], text=True)
    settings = script["pip_settings"](listing)
    folders = {"UV_TOOL_DIR": str(folder), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    options = ["--python", sys.executable, *script["uv_options"](settings)]
    changes = script["uv_environment"](settings) | folders
    run(tools / "bin" / "uv", "tool", "install", *options, wheel, **changes)
    return Installation(folder / "atelier-service" / "bin" / "python", folder / "bin" / "atelier")
