from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import JsonValue

from models.artifacts import Image
from models.checkpoint.weights import Checkpoint, load
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.families import FAMILIES
from tests.training.tiny import every_recipe, vae_recipe
from training.errors import TrainingRefused
from training.loop.run_folder import RunFolder
from training.pipeline import TrainOptions, carry_out, run
from training.publish import stored
from training.recipe import Recipe
from training.registry import recipe_named, recipes

CPU = torch.device("cpu")


def test_every_recipe_is_named_as_its_file() -> None:
    assert {"dcgan-emoji", "vae-fashion"} <= set(recipes())


@pytest.mark.parametrize("name", recipes())
def test_a_recipes_card_names_a_family_and_its_limits(name: str) -> None:
    recipe = recipe_named(name)
    assert recipe.id == name
    assert (recipe.card.family in FAMILIES) == (not recipe.folder)  # others are never asked for
    for field in ("title", "description", "limitations", "data", "data_licence", "licence"):
        assert getattr(recipe.card, field), field


def test_an_unknown_recipe_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingRefused, match=r"no recipe 'nonsense'; there are .*cgan-fashion, .*dcgan-emoji"
    ):
        run(TrainOptions("nonsense", tmp_path, tmp_path))


@pytest.mark.parametrize("recipe", every_recipe(), ids=lambda recipe: recipe.id)
def test_from_a_recipe_to_a_picture(recipe: Recipe, tmp_path: Path) -> None:
    path = carry_out(recipe, tmp_path, RunFolder(tmp_path / "run"), 2, resume=False, device=CPU)
    assert path == tmp_path / f"{recipe.id}.safetensors"
    checkpoint = load(path)
    assert checkpoint.header.recipe["steps"] == 2
    assert checkpoint.header.quality
    entry = FAMILIES[checkpoint.header.family]
    family = entry.load(checkpoint, Placement(CPU))
    (picture,) = run_alone(family.generate(entry.params(), torch.Generator().manual_seed(0)))
    size = recipe.card.net["size"]
    assert isinstance(picture, Image)
    assert picture.pixels.shape[-2:] == (size, size)


def test_a_run_is_not_overwritten_unasked(tmp_path: Path) -> None:
    carry_out(vae_recipe(), tmp_path, RunFolder(tmp_path / "run"), 1, resume=False, device=CPU)
    with pytest.raises(TrainingRefused, match="--resume"):
        carry_out(vae_recipe(), tmp_path, RunFolder(tmp_path / "run"), 2, resume=False, device=CPU)


@pytest.mark.slow
def test_an_earlier_snapshot_can_be_published(tmp_path: Path) -> None:
    def resumed(steps: int) -> Checkpoint:
        state = RunFolder(tmp_path / "run")
        return load(carry_out(vae_recipe(), tmp_path, state, steps, resume=True, device=CPU))

    first, later, again = resumed(2), resumed(4), resumed(2)
    assert first.header.recipe["steps"] == again.header.recipe["steps"] == 2
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, again.tensors[name])
        assert not torch.equal(tensor, later.tensors[name])
    with pytest.raises(TrainingRefused, match=r"at step 4 and kept no snapshot of 3.*\[2, 4\]"):
        resumed(3)


def test_a_card_keeps_what_the_loop_and_the_learner_call_alike(tmp_path: Path) -> None:
    settings: dict[str, JsonValue] = {"steps": 9, "seed": 5, "batch": 7, "id": "other"}
    recipe = replace(vae_recipe(), settings=settings)
    path = carry_out(recipe, tmp_path, RunFolder(tmp_path / "run"), 2, resume=False, device=CPU)
    recorded = load(path).header.recipe
    loop = {"steps": 2, "seed": 0, "batch": 8, "id": "tiny-vae"}
    assert {name: recorded[name] for name in loop} == loop
    assert recorded["settings"] == settings


def test_large_weights_are_stored_as_bfloat16() -> None:
    small = {"w": torch.zeros(10)}
    large = {"w": torch.zeros(3_000_000), "count": torch.tensor(3)}
    assert stored(small)["w"].dtype == torch.float32
    assert stored(large)["w"].dtype == torch.bfloat16
    assert stored(large)["count"].dtype == torch.int64
