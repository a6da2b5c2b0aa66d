"""Installs stock clients into folders of their own, and runs scripts with them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.packages import installed

SCRIPTS = Path(__file__).parent / "scripts"
LIMIT = 300  # seconds of a script, or of an installation


def python_client(folder: Path, *requirements: str) -> Path:
    """Returns the folder of a Python client and all that it needs."""
    return installed(*requirements, to=folder)


def node_client(folder: Path, *packages: str) -> Path:
    """Returns the folder of a client for Node; skips the test where it can't be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
    try:
        subprocess.run([*command, *packages], capture_output=True, timeout=LIMIT, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{', '.join(packages)} can't be installed: {error}")
    return folder


def python_output(folder: Path, script: str, *arguments: str) -> Any:
    """Returns the JSON that a script prints, run with the packages of a folder alone."""
    command = [sys.executable, "-S", "-P", str(SCRIPTS / script), *arguments]
    return _output(command, {"PYTHONPATH": str(folder)}, folder)


def node_output(folder: Path, script: str, *arguments: str) -> Any:
    """Returns the JSON that a script for Node prints."""
    copy = folder / script
    shutil.copy(SCRIPTS / script, copy)
    return _output(["node", str(copy), *arguments], {}, folder)


def _output(command: list[str], environment: dict[str, str], folder: Path) -> Any:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ATELIER_", "PYTHON"))}
    process_output = subprocess.run(
        command,
        env=inherited | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert process_output.returncode == 0, process_output.stderr[-3000:]
    return json.loads(process_output.stdout.strip().splitlines()[-1])
