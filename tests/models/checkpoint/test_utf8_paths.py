"""Checkpoints in folders of any name."""

import os
from pathlib import Path

import pytest

from models.checkpoint import weights
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from tests.conftest import MODEL, save_vae


def test_a_checkpoint_is_kept_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe\n"))
    path = save_vae(folder / f"{MODEL}.safetensors")
    assert load(path).header.title == "Clothes"
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_the_reason_why_a_file_can_not_be_read_names_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_vae(tmp_path / f"{MODEL}.safetensors")

    def gone(file: Path) -> None:
        raise FileNotFoundError(f"No such file or directory: {file}")

    monkeypatch.setattr(weights, "load_file", gone)
    with pytest.raises(CheckpointError, match=f"{MODEL}.safetensors can't be read") as caught:
        load(path)
    assert str(tmp_path) not in str(caught.value)
