"""The tutorial of docs/write-a-family.md, followed to the letter."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.families import FAMILIES
from tests.docs import ROOT, blocks_of

FILES = {
    block.note.removeprefix("file="): block.text
    for block in blocks_of(ROOT / "docs" / "write-a-family.md")
    if block.note.startswith("file=")
}
FAMILY = "models/image/rectified_flow.py"
PARAMS = "models/params/rectified_flow.py"
ENTRY = FILES["models/families.py"]
FIRST_PARTY = "lint.isort.known-first-party=['models']"
OWN_PARAMS = """
from models.params.rectified_flow import RectifiedFlowParams as Own
from pydantic import ValidationError
assert Own().steps == 20
try:
    Own(steps=0)
except ValidationError:
    print("refused")
"""
SEE_FOLDER = """
import sys
from pathlib import Path
import models.image, models.nets, models.params
from models import families
from models.families import FamilyEntry
from models.params.base import Params
for package in (models.image, models.nets, models.params):
    package.__path__.append(str(Path(*package.__name__.split(".")).absolute()))
families.FAMILIES |= {ENTRY}
"""
"""Lets a process find the tutorial's files as if they were in the repository."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(code: str, folder: Path) -> str:
    text = SEE_FOLDER.replace("{ENTRY}", "{" + ENTRY + "}") + code
    command = [sys.executable, "-W", "error", "-c", text]
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_family_gives_the_same_bits_alone_and_batched(folder: Path) -> None:
    run(FILES["make_checkpoint.py"], folder)
    assert run(FILES["check.py"], folder) == "bitwise\n"


def test_its_params_are_validated(folder: Path) -> None:
    assert run(OWN_PARAMS, folder) == "refused\n"


def test_its_family_is_one_short_file() -> None:
    assert FILES[FAMILY].count("\n") < 60
    assert "rectified_flow" not in FAMILIES


def test_its_files_pass_lint_and_types(folder: Path) -> None:
    names = [FAMILY, PARAMS, "models/nets/velocity.py"]
    ruff = [sys.executable, "-m", "ruff"]
    for tool in ([*ruff, "check"], [*ruff, "format", "--check"]):
        config = ["--config", str(ROOT / "pyproject.toml"), "--config", FIRST_PARTY]
        done = subprocess.run(
            [*tool, *config, *names], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
