"""A training that begins with a checkpoint's weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.checkpoint.weights import load, weights_sha256
from tests.training.tiny import DIFFUSION, diffusion_recipe, gan_recipe, vae_recipe
from training.errors import TrainingRefused
from training.loop.run_folder import RunFolder
from training.loop.warm_start import warm_started
from training.pipeline import TrainOptions, carry_out, run
from training.recipe import Recipe

CPU = torch.device("cpu")


def trained(recipe: Recipe, folder: Path, steps: int = 2) -> Path:
    return carry_out(recipe, folder, RunFolder(folder / "run"), steps, resume=False, device=CPU)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return trained(diffusion_recipe(), tmp_path / "first")


def test_it_begins_with_the_very_weights(first: Path) -> None:
    recipe = warm_started(diffusion_recipe(), first.stem, first.parent)
    learner = recipe.learner(DIFFUSION, CPU)
    tensors = load(first).tensors
    assert all(torch.equal(w, tensors[name].float()) for name, w in learner.weights().items())
    drawn = diffusion_recipe().learner(DIFFUSION, CPU).weights()
    assert any(not torch.equal(w, tensors[name].float()) for name, w in drawn.items())


def test_the_card_notes_what_it_was_begun_with(first: Path, tmp_path: Path) -> None:
    path = trained(warm_started(diffusion_recipe(), str(first), tmp_path), tmp_path / "second")
    checkpoint = load(path)
    assert checkpoint.header.recipe["begun_with_weights"] == weights_sha256(load(first).tensors)


@pytest.mark.slow
def test_a_resumed_run_goes_on_from_its_own_state(first: Path, tmp_path: Path) -> None:
    recipe = warm_started(diffusion_recipe(), str(first), tmp_path)
    whole = trained(recipe, tmp_path / "whole", 4)
    state = RunFolder(tmp_path / "broken" / "run")
    carry_out(recipe, tmp_path / "broken", state, 2, resume=False, device=CPU)
    broken = carry_out(recipe, tmp_path / "broken", state, 4, resume=True, device=CPU)
    assert weights_sha256(load(whole).tensors) == weights_sha256(load(broken).tensors)


@pytest.mark.slow
def test_the_card_of_other_data_notes_it_too(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    for label in ("dark", "light"):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            shade = 40 if label == "dark" else 200
            Image.new("L", (8, 8), shade + number).save(folder / label / f"{number}.png")
    card = DIFFUSION.model_copy(update={"net": {**DIFFUSION.net, "channels": 1}})
    recipe = replace(diffusion_recipe(), card=card)
    monkeypatch.setattr("training.pipeline.recipe_named", lambda name: recipe)
    order = TrainOptions(
        "tiny", tmp_path / "out", tmp_path / "runs", str(folder), steps=1, start=str(first)
    )
    recorded = load(run(order)).header.recipe
    assert recorded["begun_with_weights"] == weights_sha256(load(first).tensors)
    assert recorded["data"] == "mine"


def test_a_run_is_not_resumed_from_another_beginning(first: Path, tmp_path: Path) -> None:
    state = RunFolder(tmp_path / "run")
    carry_out(diffusion_recipe(), tmp_path, state, 2, resume=False, device=CPU)
    recipe = warm_started(diffusion_recipe(), str(first), tmp_path)
    with pytest.raises(TrainingRefused, match="begun with other settings"):
        carry_out(recipe, tmp_path, state, 4, resume=True, device=CPU)


def test_what_can_not_be_begun_from_is_refused(first: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match=r"no checkpoint .*nothing\.safetensors"):
        warm_started(diffusion_recipe(), "nothing", tmp_path)
    with pytest.raises(TrainingRefused, match="of the family diffusion, tiny-vae of"):
        warm_started(vae_recipe(), str(first), tmp_path)
    gan = trained(gan_recipe(), tmp_path / "gan")
    with pytest.raises(TrainingRefused, match="a GAN can't begin from a checkpoint: its critic"):
        carry_out(
            warm_started(gan_recipe(), str(gan), tmp_path),
            tmp_path,
            RunFolder(tmp_path / "x"),
            2,
            resume=False,
            device=CPU,
        )
    net = {**DIFFUSION.net, "widths": [8, 24]}
    other = replace(diffusion_recipe(), card=DIFFUSION.model_copy(update={"net": net}))
    with pytest.raises(TrainingRefused, match="its net is another one"):
        warm_started(other, str(first), tmp_path).learner(other.card, CPU)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(first.read_bytes()[:200])
    with pytest.raises(TrainingRefused, match="can't be begun from"):
        warm_started(diffusion_recipe(), str(torn), tmp_path)
