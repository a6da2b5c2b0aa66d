"""Checkpoints that others are trained with, such as a text tower."""

import os
from pathlib import Path

from models.checkpoint.header import Requirement, component_path
from models.checkpoint.weights import Checkpoint, load, weights_sha256
from training.data.cache import DataMissing


def checkpoints_folder() -> Path:
    """Returns $ATELIER_CHECKPOINTS, or the folder that the project ships."""
    named = os.environ.get("ATELIER_CHECKPOINTS")
    return Path(named) if named else Path(__file__).resolve().parent.parent / "checkpoints"


def load_component(name: str) -> Checkpoint:
    """Raises DataMissing if it is not there, CheckpointError if it can't be used."""
    folder = checkpoints_folder()
    path = component_path(folder / "any", name)
    if not path.exists():
        raise DataMissing(f"{path} is not there; make it by `atelier train {name}`")
    return load(path)


def requirement_of(name: str) -> Requirement:
    """Returns the component's entry in the header of a checkpoint that needs it."""
    return Requirement(id=name, weights=weights_sha256(load_component(name).tensors))
