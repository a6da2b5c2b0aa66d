"""A recipe fitted to other data than its own: the nets stay, the card tells of the new pictures."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header
from models.families import FAMILIES
from training.data.images.sets import ImageSource
from training.errors import TrainingRefused
from training.recipe import Data, Recipe

UNDESCRIBED = "Nobody has described what it can't do: look at what it makes."
REHEARSED = 64  # rows, of which a rehearsal takes a step


def shape_of(recipe: Recipe) -> tuple[int, int]:
    """The size and channels of the pictures its net is made for."""
    if recipe.picture is not None:
        return recipe.picture
    size, channels = recipe.card.net.get("size"), recipe.card.net.get("channels")
    if not isinstance(size, int) or channels not in (1, 3):
        raise TrainingRefused(f"{recipe.id} takes no other data: its net has no size of pictures")
    return size, 1 if channels == 1 else 3


def adapted_to(recipe: Recipe, source: ImageSource, data: Data) -> Recipe:
    """The same net and numbers for `data`, which came from `source`.

    A net with classes gets one for each label; one without them does not look at labels.
    """
    net = dict(recipe.card.net)
    labels: list[str] = []
    if "classes" in net:
        labels = list(data.labels)
        net["classes"] = len(labels)
    size, channels = shape_of(recipe)
    facts: dict[str, Any] = {
        "net": net,
        "labels": labels,
        "attributes": [],
        "title": title_of(recipe.id),
        "description": f"Pictures like those of {source.name}, {size}x{size} in "
        f"{'grey' if channels == 1 else 'colour'}{', by kind' if labels else ''}.",
        "limitations": UNDESCRIBED,
        "data": source.about,
        "data_licence": source.data_licence,
        "licence": source.licence,
    }
    card = recipe.card.model_copy(update=facts)
    return replace(
        recipe,
        card=card.model_copy(update=_bounds(card)),
        origin={**recipe.origin, "data": source.name},
        data=lambda: data,
    )


def title_of(name: str) -> str:
    """my-pictures -> My pictures."""
    return name.replace("-", " ").replace("_", " ").capitalize()


def rehearse(recipe: Recipe, data: Data, device: torch.device) -> None:
    """A whole training in small, thrown away: what would fail at the end fails at the beginning.

    Raises TrainingRefused.
    """
    train, test = _first(data.train, REHEARSED), _first(data.test, REHEARSED)
    few, rng = Data(train, test, data.labels), torch.Generator().manual_seed(0)
    try:
        learner = recipe.learner(recipe.card, device)
        recipe.start(learner, few)
        learner.step(_first(train, recipe.batch), rng)
        learner.sample(2, rng)
        done = recipe.finish(recipe.card, learner.weights(), few)
        recipe.measure(done.card, done.weights, few)
    except Exception as error:  # of nets, losses and measures, whatever they take amiss
        raise TrainingRefused(f"{recipe.id} can't be trained so: {error}") from error


def _bounds(card: Header) -> dict[str, dict[str, JsonValue]]:
    """Defaults and limits but for those of params that its labels and attributes don't give it."""
    entry = FAMILIES.get(card.family)
    gone = (entry.lacks(card) if entry else set()) | {"class_label", "attributes"}

    def without(items: Iterable[tuple[str, Any]]) -> dict[str, JsonValue]:
        return {name: value for name, value in items if name not in gone}

    return {"defaults": without(card.defaults.items()), "limits": without(card.limits.items())}


def _first(columns: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    return tuple(column[:rows] for column in columns)
