"""The wheels, built once, and the tools that install them."""

import sys
from pathlib import Path

import pytest

from tests.distributions.environments import run
from tests.docs import ROOT
from tests.packages import installed


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of uv and pipx; skips the test where no registry has them."""
    return installed("uv", "pipx", to=tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="session")
def wheels(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two wheels, by the names of their distributions."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder)
    run(*pip, ROOT, ROOT / "distributions" / "client")
    return {path.name.partition("-")[0].replace("_", "-"): path for path in folder.iterdir()}
