"""How fast adversarial nets learn: their rates fall over the last part of however many steps."""

from dataclasses import replace

import pytest
import torch
from pydantic import JsonValue

from tests.training.test_recipe_file import with_settings
from tests.training.tiny import gan_recipe
from training.learners.gan import GANLearner
from training.optim.schedules import level_then_line
from training.recipe_file import Change, changed
from training.registry import recipe_named

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("dcgan-emoji", 6_000, 10_500),
        ("cgan-fashion", 14_000, 18_000),
        ("gan-fashion", 15_000, 24_000),
        ("wgan-fashion", 18_000, 24_000),
        ("wgan-gp-fashion", 26_000, 30_000),
    ],
)
def test_shipped_recipes_keep_the_schedules_they_were_trained_by(
    name: str, first: int, last: int
) -> None:
    recipe = recipe_named(name)
    learner = recipe.learner(recipe.card, torch.device("meta"))
    assert isinstance(learner, GANLearner)
    steps, cool = learner.settings.steps, learner.settings.cool
    assert steps == recipe.steps == last
    for step in (0, first, first + 1, (first + last) // 2, last - 1, last, last + 100):
        expected = 1 - 0.98 * min(1.0, max(0.0, (step - first) / (last - first)))
        assert level_then_line(step, steps, cool, floor=0.02) == expected


@pytest.mark.parametrize("steps", [4, 8])
def test_rates_fall_over_the_last_part_of_changed_steps(steps: int) -> None:
    recipe = with_settings(gan_recipe())
    own: dict[str, JsonValue] = {"cool": 0.5, "generator_rate": 1.0, "critic_rate": 2.0}
    recipe = replace(recipe, settings=recipe.settings | own)
    shorter = changed(recipe, Change(base="x", steps=steps))
    learner = shorter.learner(shorter.card, CPU)
    assert isinstance(learner, GANLearner)
    rates = []
    for number in range(steps + 1):
        learner.step((recipe.data().train[0][:4],), torch.Generator().manual_seed(number))
        rates.append(learner.generator_optimiser.param_groups[0]["lr"])
        assert learner.critic_optimiser.param_groups[0]["lr"] == 2 * rates[-1]
    half = steps // 2
    assert rates == pytest.approx([1.0] * half + [1 - 0.98 * i / half for i in range(half + 1)])


def test_rates_that_do_not_cool_never_fall() -> None:
    assert [level_then_line(step, 5, 0.0, floor=0.02) for step in range(8)] == [1.0] * 8
