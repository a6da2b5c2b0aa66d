"""A training that begins from a checkpoint's weights instead of from draws."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.checkpoint.header import SUFFIX, CheckpointError, Header
from models.checkpoint.weights import load, weights_sha256
from training.errors import TrainingRefused
from training.optim.ema import Average
from training.recipe import Learner, Recipe


def load_average(
    net: nn.Module, average: Average[Any], weights: Mapping[str, Tensor], prefix: str = ""
) -> None:
    """Loads a net and its average from the tensors whose names have this prefix."""
    own = {k.removeprefix(prefix): v.float() for k, v in weights.items() if k.startswith(prefix)}
    net.load_state_dict(own)
    average.net.load_state_dict(own)


def warm_started(recipe: Recipe, name: str, folder: Path) -> Recipe:
    """The same recipe, whose learner begins with the weights of the checkpoint of this id in the
    folder, or at this path.

    Raises TrainingRefused if it is not there, or is another kind of model; making the learner
    does where a checkpoint does not hold enough, and for weights of another net.
    """
    path = Path(name) if name.endswith(SUFFIX) else folder / f"{name}{SUFFIX}"
    if not path.is_file():
        raise TrainingRefused(f"no checkpoint {path} to begin from")
    try:
        checkpoint = load(path)
    except CheckpointError as error:
        raise TrainingRefused(f"{path.name} can't be begun from: {error}") from None
    if checkpoint.header.family != recipe.card.family:
        raise TrainingRefused(
            f"{path.name} is of the family {checkpoint.header.family}, {recipe.id} of the family "
            f"{recipe.card.family}"
        )

    def learner(card: Header, device: torch.device) -> Learner:
        built = recipe.learner(card, device)
        try:
            built.begin(checkpoint.tensors)
        except RuntimeError:
            raise TrainingRefused(
                f"{path.name} can't be begun from: its net is another one than that of {recipe.id}"
            ) from None
        return built

    origin = {**recipe.origin, "begun_with_weights": weights_sha256(checkpoint.tensors)}
    return replace(recipe, learner=learner, origin=origin)
