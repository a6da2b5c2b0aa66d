"""From the weights of a run to a checkpoint with an honest card."""

import platform
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import SUFFIX, Header, component_path
from models.checkpoint.weights import load, save, weights_sha256
from training.components import load_component
from training.errors import TrainingRefused
from training.loop.run_folder import RunFolder
from training.recipe import Data, Recipe

LARGEST_SINGLE = 10 * 10**6
"""Bytes of weights above which they are stored as bfloat16."""
JUDGES = "judges"
"""The folder, among the checkpoints, of those that measure others and can't be asked for."""


def publish(
    recipe: Recipe, weights: dict[str, Tensor], data: Data, run: RunFolder, step: int, out: Path
) -> Path:
    """Finish, measure, write the card and save `out/<id>.safetensors`, or a judge; its path."""
    kept = stored(weights)
    done = recipe.finish(recipe.card, kept, data)
    header = done.card.model_copy(
        update={
            "recipe": _how(recipe, data, run, step),
            "quality": recipe.measure(done.card, done.weights, data),
            "versions": _versions(),
        }
    )
    path = checkpoint_path(recipe, out)
    bring_parts(header, path)
    save(path, header, done.weights)
    return path


def bring_parts(header: Header, path: Path) -> None:
    """Beside a checkpoint lie the parts it needs: copied there from those it was made with.

    Raises TrainingRefused, before the checkpoint is written, where another lies there.
    """
    for need in header.requires.values():
        there = component_path(path, need.id)
        if not there.exists():
            component = load_component(need.id)
            save(there, component.header, component.tensors)
        elif weights_sha256(load(there).tensors) != need.weights:
            raise TrainingRefused(
                f"{there} is another {need.id} than the one it was made with; put that one there, "
                "and go on by --resume"
            )


def checkpoint_path(recipe: Recipe, out: Path) -> Path:
    """Where its checkpoint lies."""
    return out / recipe.folder / f"{recipe.id}{SUFFIX}"


def stored(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """As they are if small, else floating-point weights as bfloat16."""
    if sum(w.nbytes for w in weights.values()) <= LARGEST_SINGLE:
        return weights
    return {k: w.bfloat16() if w.is_floating_point() else w for k, w in weights.items()}


def _how(recipe: Recipe, data: Data, run: RunFolder, step: int) -> dict[str, JsonValue]:
    """The learner's settings apart: their `steps` and `seed` are of a schedule and of the nets."""
    return {
        **recipe.origin,
        "id": recipe.id,
        "steps": step,
        "steps_planned": recipe.steps,
        "batch": recipe.batch,
        "seed": recipe.seed,
        "train_pictures": len(data.train[0]),
        "test_pictures": len(data.test[0]),
        "seconds": round(run.seconds * step / max(run.step, 1)),
        "processor": platform.machine(),
        "settings": recipe.settings,
    }


def _versions() -> dict[str, str]:
    return {
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }
