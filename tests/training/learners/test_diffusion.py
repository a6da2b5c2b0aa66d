"""How a diffusion model learns: which levels weigh how much, how fast, and from which pictures."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.training.test_recipe_file import with_settings
from tests.training.tiny import DIFFUSION, diffusion_recipe, labelled
from training.errors import TrainingRefused
from training.learners.diffusion import DiffusionObjective, DiffusionSettings
from training.learners.standard import StandardLearner
from training.pipeline import adapted
from training.recipe_file import Change, changed

CPU = torch.device("cpu")


def learner(settings: DiffusionSettings) -> StandardLearner[Any]:
    return StandardLearner(DiffusionObjective(DIFFUSION, settings, CPU))


def rates(one: StandardLearner[Any], steps: int) -> list[float]:
    """The rate of every step."""
    batch, seen = labelled(4, 8).train, []
    for number in range(steps):
        one.step(batch, torch.Generator().manual_seed(number))
        seen.append(one.optimiser.param_groups[0]["lr"])
    return seen


def test_the_last_part_weighs_every_level_alike() -> None:
    half = learner(DiffusionSettings(steps=4, even=0.5))
    batch = labelled(4, 8).train
    said = [half.step(batch, torch.Generator().manual_seed(number)) for number in range(6)]
    assert [losses["loss"] == losses["error"] for losses in said] == [False] * 2 + [True] * 4


def test_the_rate_restarts_where_the_weights_change() -> None:
    settings = DiffusionSettings(steps=12, rate=1.0, warmup=2)
    once = rates(learner(replace(settings, steps=6)), 6)
    assert once[:3] == [0.5, 1.0, 1.0]
    assert once[2:] == sorted(once[2:], reverse=True)
    assert rates(learner(replace(settings, even=0.5)), 12) == once * 2


@pytest.mark.parametrize("steps", [4, 8])
def test_the_last_part_is_as_long_as_the_training_has_it(steps: int) -> None:
    recipe = with_settings(diffusion_recipe())
    recipe = replace(recipe, settings=recipe.settings | {"even": 0.25, "warmup": 0, "rate": 1.0})
    shorter = changed(recipe, Change(base="x", steps=steps))
    short = shorter.learner(shorter.card, CPU)
    assert isinstance(short, StandardLearner)
    restarts = [step for step, rate in enumerate(rates(short, steps)) if rate == 1.0]
    assert restarts == [0, steps * 3 // 4]


def sized(size: int) -> None:
    """What `atelier train` does before the first step with a file that changes the net's size."""
    change = Change(base="x", net={"size": size, "attention": []})
    adapted(changed(with_settings(diffusion_recipe()), change), change, None, CPU)


def test_a_net_that_is_larger_than_its_pictures_draws_a_border_round_them() -> None:
    sized(12)


def test_a_net_that_is_smaller_than_its_pictures_is_refused_before_training() -> None:
    with pytest.raises(TrainingRefused, match="makes pictures of size 4, and its data has 8"):
        sized(4)
