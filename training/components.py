"""Checkpoints that others are made with, such as a text tower: by name, among those here."""

import os
from pathlib import Path

from models.checkpoint.header import component_path
from models.checkpoint.weights import Checkpoint, load
from training.data.cache import DataMissing


def checkpoints_folder() -> Path:
    """$ATELIER_CHECKPOINTS, or those that the project ships."""
    named = os.environ.get("ATELIER_CHECKPOINTS")
    return Path(named) if named else Path(__file__).resolve().parent.parent / "checkpoints"


def part(name: str) -> Checkpoint:
    """Raises DataMissing if it is not there, CheckpointError if it can't be used."""
    folder = checkpoints_folder()
    path = component_path(folder / "any", name)
    if not path.exists():
        raise DataMissing(f"{path} is not there; make it by `atelier train {name}`")
    return load(path)
