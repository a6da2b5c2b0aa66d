"""A recipe in a TOML file: another recipe's, with some of its numbers changed.

    base = "dcgan-emoji"
    steps = 2000
    data = "../my-pictures"     # as --data; a path goes from the folder of the file
    [net]
    width = 32
    [settings]                  # fields of the learner's settings
    r1 = 0.5

The checkpoint is called as the file, if `id` says nothing else.
"""

import tomllib
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PositiveInt, TypeAdapter
from pydantic import ValidationError as Invalid

from training.adapt_recipe import UNDESCRIBED, title_of
from training.data.images.sets import BROUGHT, BUILT
from training.errors import TrainingRefused
from training.learners.classifier import ClassifierObjective, ClassifierSettings
from training.learners.diffusion import DiffusionObjective, DiffusionSettings
from training.learners.gan import GANLearner, GANSettings
from training.learners.mixture import MixtureLearner, MixtureSettings
from training.learners.standard import StandardLearner
from training.learners.vae import VAELearner, VAESettings
from training.learners.video.video_gan import VideoGANLearner, VideoGANSettings
from training.recipe import Learner, Recipe

TEXTS = ("title", "description", "limitations", "licence", "data_licence")
LEARNERS: dict[str, tuple[type[Any], Callable[..., Learner]]] = {
    "classifier": (ClassifierSettings, lambda *args: StandardLearner(ClassifierObjective(*args))),
    "diffusion": (DiffusionSettings, lambda *args: StandardLearner(DiffusionObjective(*args))),
    "gan": (GANSettings, GANLearner),
    "mixture": (MixtureSettings, MixtureLearner),
    "video_gan": (VideoGANSettings, VideoGANLearner),
    "vae": (VAESettings, VAELearner),
}
"""By the family of the card: the settings that `Recipe.settings` tells, and who takes them."""


class Change(BaseModel):
    """What the file says; all but the base may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    base: str = Field(min_length=1)
    id: str | None = None
    data: str | None = None
    steps: PositiveInt | None = None
    batch: PositiveInt | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**32)  # of which torch takes no more
    title: str | None = None
    description: str | None = None
    limitations: str | None = None
    licence: str | None = None
    data_licence: str | None = None
    net: dict[str, JsonValue] = {}
    process: dict[str, JsonValue] = {}
    judge: dict[str, JsonValue] = {}
    settings: dict[str, JsonValue] = {}


def read_change(path: Path) -> Change:
    """The file, checked. Raises TrainingRefused with the key that is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        change = Change.model_validate(table)
    except FileNotFoundError:
        raise TrainingRefused(f"there is no {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingRefused(f"{path.name} is no TOML: {error}") from None
    except Invalid as error:
        raise TrainingRefused(f"{path.name}: {_first_of(error)}") from None
    if change.data is None or change.data.partition(":")[0] in {*BUILT, *BROUGHT}:
        return change
    return change.model_copy(update={"data": str(path.parent / change.data)})


def changed(base: Recipe, change: Change) -> Recipe:
    """The base with what the file changes. Raises TrainingRefused for settings it hasn't."""
    if base.card.family not in LEARNERS:
        raise TrainingRefused(f"{base.id} can't be changed by a file, only by a recipe in Python")
    kind, make = LEARNERS[base.card.family]
    settings = _settings(kind, base, _shared(kind, change) | change.settings)
    judge = _judge(base, change)
    between = () if judge is None else (judge,)
    facts = {
        "net": base.card.net | change.net,
        "process": base.card.process | change.process,
        "limitations": UNDESCRIBED,
    }
    return replace(
        base,
        learner=lambda card, device: make(card, *between, settings, device),
        card=base.card.model_copy(update=facts),
        settings=asdict(settings) | ({} if judge is None else {"judge": judge}),
        steps=change.steps or base.steps,
        batch=change.batch or base.batch,
        seed=base.seed if change.seed is None else change.seed,
    )


def described(recipe: Recipe, change: Change) -> Recipe:
    """With what the file says of the checkpoint, over all that was made up for it."""
    texts = {name: text for name in TEXTS if (text := vars(change)[name]) is not None}
    texts.setdefault("title", title_of(recipe.id))
    return replace(recipe, card=recipe.card.model_copy(update=texts))


def _shared(kind: type[Any], change: Change) -> dict[str, JsonValue]:
    """What the loop and a learner both have: the length of a schedule, the seed of the nets."""
    both = {"steps": change.steps, "seed": change.seed}
    return {k: v for k, v in both.items() if v is not None and k in _names(kind)}


def _settings(kind: type[Any], base: Recipe, changes: dict[str, JsonValue]) -> Any:
    """The learner's, with what the file tells; a warm-up is the same part of a schedule of another
    length, if the file doesn't tell it."""
    own: dict[str, Any] = {k: v for k, v in base.settings.items() if k in _names(kind)}
    for name in changes:
        if name not in _names(kind):
            known = ", ".join(_names(kind))
            raise TrainingRefused(f"[settings] of {base.id} have no {name!r}; they have {known}")
    try:
        settings = TypeAdapter(kind).validate_python(own | changes)
    except Invalid as error:
        raise TrainingRefused(f"[settings] {_first_of(error)}") from None
    if "warmup" not in own or "warmup" in changes:
        return settings
    return replace(settings, warmup=round(own["warmup"] * settings.steps / own["steps"]))


def _judge(base: Recipe, change: Change) -> dict[str, JsonValue] | None:
    """The configuration of its critic, where it has one."""
    own = base.settings.get("judge")
    if not isinstance(own, dict):
        if change.judge:
            raise TrainingRefused(f"{base.id} has no [judge]")
        return None
    return own | change.judge


def _names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def _first_of(error: Invalid) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
