"""Packages of PyPI that tests install beside those of the project, in folders of their own."""

import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs import ROOT

PIP = [sys.executable, "-m", "pip"]


def installed(*packages: str, to: Path, dependencies: bool = True) -> Path:
    """The folder of these packages, in any version; skips the test where they can't be had.

    uv takes a fraction of pip's time; without it, pip installs.
    """
    options = ["install", "--quiet", "--target", str(to), *packages]
    options += [] if dependencies else ["--no-deps"]
    command, environment = [*PIP, *options, "--no-compile", "--retries", "0"], None
    if find_spec("uv"):
        script = runpy.run_path(str(ROOT / ".ci" / "install.py"))
        listing = subprocess.check_output([*PIP, "config", "list"], text=True)
        settings = script["pip_settings"](listing)
        uv = [sys.executable, "-m", "uv", "pip", *options, "--python", sys.executable]
        command = [*uv, *script["uv_options"](settings)]
        environment = script["uv_environment"](settings)
    try:
        subprocess.run(command, env=environment, capture_output=True, timeout=200, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{', '.join(packages)} can't be installed: {error}")
    return to
