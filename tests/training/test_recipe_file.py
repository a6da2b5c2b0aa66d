"""A recipe in TOML: what it changes is changed, the rest is the base's, and mistakes are named."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.weights import load
from tests.training.drawn import draw_folder
from tests.training.tiny import gan_recipe, vae_recipe
from training import pipeline
from training.errors import TrainingRefused
from training.learners.gan import GANLearner, GANSettings
from training.pipeline import TrainOptions, run
from training.recipe import Recipe
from training.recipe_file import LEARNERS, Change, changed, read_change
from training.registry import recipe_named, recipes

CPU = torch.device("cpu")

TEXT = """
base = "wgan-gp-fashion"
data = "mine"
steps = 2
batch = 4
seed = 7
title = "Mine, small"
licence = "CC0-1.0"
[net]
width = 4
size = 16
channels = 3
[judge]
width = 4
[settings]
critic_steps = 2
"""


def train(path: Path, **options: str) -> Path:
    return run(TrainOptions(str(path), path.parent / "out", path.parent / "runs", **options))  # type: ignore[arg-type]


def test_a_file_changes_a_recipe(tmp_path: Path) -> None:
    draw_folder(tmp_path / "mine")
    path = tmp_path / "Small-ones.toml"
    path.write_text(TEXT)
    path = train(path)
    assert path == tmp_path / "out/small-ones.safetensors"
    checkpoint = load(path)
    card = checkpoint.header
    base = recipe_named("wgan-gp-fashion")
    assert card.net == base.card.net | {"width": 4, "size": 16, "channels": 3}
    assert (card.title, card.licence) == ("Mine, small", "CC0-1.0")
    assert card.description == "Pictures like those of mine, 16x16 in colour."
    numbers = {"steps": 2, "batch": 4, "seed": 7}
    assert {name: card.recipe[name] for name in numbers} == numbers
    settings = card.recipe["settings"]
    assert isinstance(settings, dict)
    assert (settings["critic_steps"], settings["penalty"]) == (2, 10.0)
    assert settings["judge"] == {"kind": "conv", "width": 4}
    assert card.recipe["recipe"] == "wgan-gp-fashion"


def test_options_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    folder = draw_folder(tmp_path / "others")
    checkpoint = train(path, data=str(folder), id="other")
    assert checkpoint.name == "other.safetensors"
    assert load(checkpoint).header.recipe["data"] == "others"


def test_a_file_may_keep_the_data_of_its_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "recipe_named", lambda _: with_settings(gan_recipe()))
    path = tmp_path / "small.toml"
    path.write_text('base = "tiny"\nsteps = 1\n[settings]\nr1 = 0.5\n')
    card = load(train(path)).header
    assert (card.title, card.recipe["batch"]) == ("Small", 4)
    assert isinstance(card.recipe["settings"], dict)
    assert card.recipe["settings"]["r1"] == 0.5
    assert card.limitations.startswith("Nobody has described")


@pytest.mark.parametrize("name", recipes())
def test_a_learner_made_from_told_settings_is_the_recipes_own(name: str) -> None:
    """If this fails for a new recipe, its settings don't tell all that its learner is made of."""
    recipe = recipe_named(name)
    if recipe.card.family not in LEARNERS:
        with pytest.raises(TrainingRefused, match="only by a recipe in Python"):
            changed(recipe, Change(base=name))
        return
    again = changed(recipe, Change(base=name))
    assert again.settings == recipe.settings
    with torch.device("meta"):  # names and shapes, but no memory
        one, other = (r.learner(r.card, torch.device("meta")) for r in (recipe, again))
    assert type(one) is type(other)
    assert vars(one)["settings"] == vars(other)["settings"]


def test_a_schedule_is_as_long_as_the_training() -> None:
    assert changed(with_settings(vae_recipe()), Change(base="x", steps=3)).settings["steps"] == 3
    change = Change(base="x", steps=3, settings={"steps": 4})
    assert changed(with_settings(vae_recipe()), change).settings["steps"] == 4


def with_settings(recipe: Recipe) -> Recipe:
    """With settings that tell all that its learner is made of, as those of real recipes."""
    learner: Any = recipe.learner(recipe.card, CPU)
    judge = {"kind": "dcgan", "width": 4}
    settings = asdict(learner.settings) | ({"judge": judge} if recipe.card.family == "gan" else {})
    return replace(recipe, settings=settings)


@pytest.mark.parametrize(
    ("change", "steps", "warmup"),
    [
        ({}, 9, 3),
        ({"steps": 30}, 30, 10),
        ({"settings": {"steps": 30}}, 30, 10),
        ({"steps": 4}, 4, 1),
        ({"steps": 1}, 1, 0),
        ({"steps": 30, "settings": {"warmup": 3}}, 30, 3),
    ],
)
def test_a_warm_up_is_as_large_a_part_of_any_schedule(
    change: dict[str, Any], steps: int, warmup: int
) -> None:
    settings = changed(with_settings(vae_recipe()), Change(base="x", **change)).settings
    assert (settings["steps"], settings["warmup"]) == (steps, warmup)


def test_no_learner_of_a_file_warms_up_for_ever() -> None:
    for name in ("ddpm-fashion", "fashion-classifier", "beta-vae-sprites"):
        settings: dict[str, Any] = changed(
            recipe_named(name), Change(base=name, steps=100)
        ).settings
        assert 0 < settings["warmup"] < 50


def test_settings_reach_the_learner() -> None:
    recipe = changed(recipe_named("gan-fashion"), Change(base="x", settings={"r1": 3}))
    learner = recipe.learner(recipe.card, CPU)
    assert isinstance(learner, GANLearner)
    assert isinstance(learner.settings, GANSettings)
    assert (learner.settings.r1, learner.settings.loss) == (3.0, "logistic")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("base = ", "x.toml is no TOML"),
        ("", "x.toml: base: Field required"),
        ('base = "nonsense"', "no recipe 'nonsense'; there are"),
        ('base = "dcgan-emoji"\nstep = 3', "x.toml: step: Extra inputs are not permitted"),
        ('base = "dcgan-emoji"\nsteps = 0', "x.toml: steps: Input should be greater than 0"),
        ('base = "dcgan-emoji"\nseed = -1', "x.toml: seed: Input should be greater than or equal"),
        ('base = "dcgan-emoji"\nbatch = "8"', "x.toml: batch: Input should be a valid integer"),
        ('base = "dcgan-emoji"\n[settings]\nr2 = 1', r"\[settings\] of dcgan-emoji have no 'r2'"),
        ('base = "dcgan-emoji"\n[settings]\nr1 = "much"', r"\[settings\] r1: Input should be a"),
        ('base = "dcgan-emoji"\n[settings]\nloss = "hinge"', r"\[settings\] loss: Input should be"),
        ('base = "dcgan-emoji"\n[settings]\ncool = 2', r"\[settings\] cool: Input should be less"),
        ('base = "vae-fashion"\n[judge]\nwidth = 3', r"vae-fashion has no \[judge\]"),
        ('base = "vae-fashion"\nid = "No id"', "'No id' is no id"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(TrainingRefused, match=complaint):
        train(path)


@pytest.mark.parametrize(
    ("net", "complaint"),
    [
        ("size = 17", "size must halve"),
        ("widht = 8", "unexpected keyword argument 'widht'"),
        ('kind = "dense"', "kind must be one of"),
    ],
)
def test_a_net_that_cannot_be_built_is_refused_before_training(
    tmp_path: Path, net: str, complaint: str
) -> None:
    draw_folder(tmp_path / "mine")
    path = tmp_path / "x.toml"
    path.write_text(f'base = "wgan-gp-fashion"\ndata = "mine"\n[net]\n{net}\n')
    with pytest.raises(TrainingRefused, match=complaint):
        train(path)
    assert not (tmp_path / "runs").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match="there is no"):
        train(tmp_path / "none.toml")


def test_paths_go_from_the_folder_of_the_file_and_names_do_not(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('base = "a"\ndata = "../mine"')
    assert read_change(path).data == str(tmp_path / "../mine")
    path.write_text('base = "a"\ndata = "cifar10:/here"')
    assert read_change(path).data == "cifar10:/here"


def test_the_example_of_the_docs_holds(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs/training.md"
    path = tmp_path / "small.toml"
    path.write_text(docs.read_text("utf-8").split("```toml\n")[1].split("```")[0])
    recipe = changed(recipe_named("dcgan-emoji"), read_change(path))
    assert isinstance(recipe.learner(recipe.card, CPU), GANLearner)
    assert (recipe.steps, recipe.settings["r1"], recipe.card.net["width"]) == (2000, 0.5, 32)
