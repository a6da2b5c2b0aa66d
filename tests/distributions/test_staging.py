"""What the two distributions contain and say of themselves."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.core.version import VERSION
from distributions.staging import (
    CHECKPOINTS,
    CLIENT,
    PACKAGES,
    ROOT,
    contents,
    project_of,
    samples,
    stage_client,
)
from models.checkpoint.header import read_header
from models.modalities import MODALITIES


def project(path: Path) -> dict[str, Any]:
    return tomllib.loads((path / "pyproject.toml").read_text())["project"]


def test_both_have_one_version() -> None:
    assert project(ROOT)["version"] == project(CLIENT)["version"] == VERSION


def test_the_client_needs_httpx_as_the_service_does() -> None:
    assert project(CLIENT)["dependencies"] == [
        name for name in project(ROOT)["dependencies"] if name.startswith("httpx")
    ]


def test_the_wheel_has_the_default_models_and_their_components() -> None:
    folder = ROOT / "checkpoints"
    expected = {"vae-fashion"}  # of the quickstart
    for modality in MODALITIES.values():
        path = folder / f"{modality.default_model}.safetensors"
        if path.exists():  # a Python package carries the language model
            expected.add(modality.default_model)
            expected.update(required.id for required in read_header(path).requires.values())
    names = [Path(name).name for name in CHECKPOINTS]
    assert sorted(names) == sorted(expected)
    assert all((folder / f"{name}.safetensors").exists() for name in CHECKPOINTS)


def test_the_wheel_has_the_samples_of_its_models() -> None:
    names = {Path(name).name for name in CHECKPOINTS if "/" not in name}
    assert {path.stem for path in samples()} == names | {"smollm2-135m"}


def test_the_client_has_its_own_copy_of_what_the_service_has_too(tmp_path: Path) -> None:
    stage_client(tmp_path)
    texts = {path.name: path.read_text() for path in tmp_path.rglob("*.py")}
    assert "class ItemTexts" in texts["text_assembly.py"]
    assert "from atelier.client.text_assembly import" in texts["views.py"]
    assert not [name for name, text in texts.items() if "from app" in text or "import app" in text]


def test_the_client_is_part_of_a_package(tmp_path: Path) -> None:
    stage_client(tmp_path)
    tops = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.*")}
    assert tops == {"README.md", "atelier", "pyproject.toml"}
    assert (tmp_path / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    folders = {path.name for path in (tmp_path / "atelier").iterdir()}
    assert folders == {"__init__.py", "client", "py.typed"}
    staged = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert staged["project"] == project(CLIENT)
    assert staged["build-system"]["build-backend"] == "setuptools.build_meta"
    assert staged["tool"]["setuptools"]["packages"] == ["atelier", "atelier.client"]


@pytest.mark.parametrize("folder", [ROOT, CLIENT])
def test_the_metadata_stay(folder: Path) -> None:
    staged = tomllib.loads(project_of(folder / "pyproject.toml") + contents(["a"], ["b"]))
    assert staged["project"] == project(folder)
    assert staged["tool"]["setuptools"]["py-modules"] == ["b"]


def test_an_editable_install_has_the_repositorys_names() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert tool["setuptools"]["packages"]["find"]["include"] == [f"{p}*" for p in PACKAGES]
