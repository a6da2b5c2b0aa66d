"""What `atelier train` calls: a recipe by name, from data to a checkpoint."""

import pkgutil
from importlib import import_module
from pathlib import Path

import torch

import training.recipes
from training.publish import publish
from training.recipe import Recipe
from training.runs import Run
from training.train import train


class TrainingRefused(Exception):
    """A training can't start as asked; the message says what to do instead."""


def recipes() -> list[str]:
    """The names of all recipes, which are those of the checkpoints they make."""
    found = pkgutil.iter_modules(training.recipes.__path__)
    return sorted(module.name.replace("_", "-") for module in found)


def run(
    recipe_id: str,
    *,
    out: Path,
    runs: Path,
    steps: int | None = None,
    resume: bool = False,
    device: str = "cpu",
) -> Path:
    """Train `recipe_id` and write its checkpoint into `out`; the checkpoint's path.

    `steps` None means the recipe's own number. State, snapshots and sample sheets lie in
    `runs/<recipe_id>`. Where a resumed run has already passed `steps`, its snapshot of that very
    step is published. Raises TrainingRefused, DataMissing or TrainingDiverged.
    """
    if recipe_id not in recipes():
        raise TrainingRefused(f"no recipe {recipe_id!r}; there are {', '.join(recipes())}")
    module = import_module(f"training.recipes.{recipe_id.replace('-', '_')}")
    recipe: Recipe = vars(module)["RECIPE"]
    return carry_out(
        recipe,
        out,
        Run(runs / recipe_id),
        recipe.steps if steps is None else steps,
        resume=resume,
        device=torch.device(device),
    )


def carry_out(
    recipe: Recipe, out: Path, state: Run, steps: int, *, resume: bool, device: torch.device
) -> Path:
    """The same for a recipe in hand and a run of its own."""
    if state.saved() and not resume:
        raise TrainingRefused(
            f"{state.folder} holds a run; go on with it by --resume, or move it away"
        )
    state.folder.mkdir(parents=True, exist_ok=True)
    data = recipe.data()
    learner = recipe.learner(recipe.card, device)
    if state.saved():
        learner.restore(state.load(device))
    if state.step <= steps:
        train(recipe, learner, data, state, steps)
    weights = state.snapshot_at(steps)
    if weights is None:
        raise TrainingRefused(
            f"the run is at step {state.step} and kept no snapshot of {steps}; "
            f"it has {state.snapshots()}"
        )
    return publish(recipe, weights, data, state, steps, out)
