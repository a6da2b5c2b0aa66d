import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny import every_recipe, gan_recipe
from training.errors import TrainingDiverged
from training.loop.loop import batch_at, train
from training.loop.run_folder import RunFolder
from training.recipe import Batch, Data, Recipe

CPU = torch.device("cpu")
RECIPES = every_recipe()


def trained(recipe: Recipe, folder: Path, stops: list[int]) -> RunFolder:
    """A run that is loaded from disk anew for every stop."""
    folder.mkdir()
    for stop in stops:
        run, learner = RunFolder(folder), recipe.learner(recipe.card, CPU)
        if run.saved():
            learner.restore(run.load(CPU))
        train(recipe, learner, recipe.data(), run, stop)
    return run


def flat(state: Any) -> list[Any]:
    if isinstance(state, dict):
        return [leaf for key in state for leaf in (key, *flat(state[key]))]
    if isinstance(state, list | tuple):
        return [leaf for item in state for leaf in flat(item)]
    return [state.tolist()] if isinstance(state, torch.Tensor) else [state]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_a_resumed_run_equals_an_unbroken_one(recipe: Recipe, tmp_path: Path) -> None:
    whole = trained(recipe, tmp_path / "whole", [recipe.steps])
    broken = trained(recipe, tmp_path / "broken", [2, 3, recipe.steps])
    assert flat(whole.load(CPU)) == flat(broken.load(CPU))
    assert whole.lines == broken.lines
    name = f"snapshot-{recipe.steps:06d}.safetensors"
    assert (whole.folder / name).read_bytes() == (broken.folder / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_the_global_generator_has_no_say(recipe: Recipe, tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = trained(recipe, tmp_path / "one", [2])
    torch.manual_seed(2)
    other = trained(recipe, tmp_path / "other", [2])
    assert flat(one.load(CPU)) == flat(other.load(CPU))


def test_a_run_leaves_samples_and_a_plot(tmp_path: Path) -> None:
    run = trained(gan_recipe(), tmp_path / "run", [2])
    assert {path.name for path in run.folder.iterdir()} == {
        "state.pt",
        "snapshot-000002.safetensors",
        "sample-000002.png",
        "loss.png",
    }
    assert run.snapshots() == [2]
    assert run.snapshot_at(1) is None


def test_every_epoch_shows_each_row_at_most_once_in_an_order_of_its_own() -> None:
    data = gan_recipe().data()
    order = [[batch_at(data, 2 * epoch + i, 4, seed=0)[0] for i in range(2)] for epoch in range(2)]
    for first, second in order:
        assert len(torch.cat([first, second]).flatten(1).unique(dim=0)) == 8
    assert not torch.equal(order[0][0], order[1][0])


def test_no_two_epochs_of_a_long_run_share_an_order() -> None:
    rows = torch.arange(64)
    data = Data((rows,), (rows,))
    far = [0, 1, 2**14, 2**15, 2**16, 2**31]
    orders = {
        tuple(batch_at(data, epoch, 64, seed)[0].tolist()) for epoch in far for seed in (0, 1)
    }
    assert len(orders) == 2 * len(far)


def test_a_batch_is_no_larger_than_the_data() -> None:
    assert len(batch_at(gan_recipe().data(), 3, 100, seed=0)[0]) == 10


class Failing:
    """Loses its way at the third step: its loss, its weights, or what its optimiser remembers."""

    def __init__(self, what: str) -> None:
        self.steps, self.what = 0, what

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        self.steps += 1
        return {"loss": self._value("loss")}

    def _value(self, what: str) -> float:
        return math.nan if self.steps >= 3 and what == self.what else 1.0

    def sample(self, rows: int, rng: torch.Generator) -> torch.Tensor:
        return torch.zeros(rows, 1, 2, 2)

    def weights(self) -> dict[str, torch.Tensor]:
        return {"w": torch.tensor([0.0, self._value("weights")])}

    def state(self) -> dict[str, Any]:
        memory = {0: {"mean": torch.tensor(self._value("state"))}}
        return {"steps": self.steps, "optimiser": [memory]}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]

    def begin(self, weights: Mapping[str, torch.Tensor]) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("loss", "loss is nan at step 2"),
        ("weights", "weights.w is not finite at step 5"),
        ("state", "state.optimiser.0.0.mean is not finite at step 5"),
    ],
)
def test_what_is_not_finite_stops_the_run_and_spares_what_was_saved(
    tmp_path: Path, what: str, message: str
) -> None:
    recipe, run = gan_recipe(), RunFolder(tmp_path)
    learner = Failing(what)
    train(recipe, learner, recipe.data(), run, 2)
    with pytest.raises(TrainingDiverged, match=message):
        train(recipe, learner, recipe.data(), run, 5)
    again = RunFolder(tmp_path)
    assert again.load(CPU)["steps"] == again.step == 2
    assert again.snapshots() == [2]
