"""The one training loop: batches to a learner, step by step, so that a stop loses nothing.

Step k sees data and noise that follow from the recipe's seed and k alone; so a run resumed from
disk goes on to the same bytes as one that was never broken.
"""

import hashlib
import math
import time
from typing import Any

import torch

from training.errors import TrainingDiverged, TrainingStopped
from training.loop.finite import not_finite
from training.loop.progress import sheet, showing, write_plot
from training.loop.run_folder import RunFolder, write_whole
from training.loop.signals import deferred_signals
from training.recipe import Batch, Data, Learner, Recipe

SAVE_SECONDS = 180.0  # from one save to the next,
SAVE_TIMES = 20.0  # or this many times as long as a save took, if that is more
LOG_EVERY = 20
SAMPLE_ROWS = 96


def train(recipe: Recipe, learner: Learner, data: Data, run: RunFolder, steps: int) -> None:
    """From where the run stands to `steps`; saved every few minutes and at the end.

    A signal ends it after the step it is at: the state is saved, and TrainingStopped raised.
    """
    batch = min(recipe.batch, len(data.train[0]))
    with showing(recipe.id, run.step, steps, batch) as show, deferred_signals() as signal:
        saved, took = time.monotonic(), 0.0
        while run.step < steps and signal() is None:
            loss = _advance(recipe, learner, data, run)
            show(run.step, loss)
            if time.monotonic() - saved > max(SAVE_SECONDS, SAVE_TIMES * took):
                took, saved = save(recipe, learner, run), time.monotonic()
        if run.step == steps:
            save(recipe, learner, run)
        else:
            run.save(_sound(recipe, run, learner.state(), "state"))
        if (number := signal()) is not None:
            raise TrainingStopped(f"{recipe.id}: stopped at step {run.step}", number)


def save(recipe: Recipe, learner: Learner, run: RunFolder) -> float:
    """State, a snapshot of the served weights, a sheet of samples and the plot; in how long.

    Raises TrainingDiverged, and leaves what was saved before, if a weight is not finite.
    """
    began = time.monotonic()
    state = _sound(recipe, run, learner.state(), "state")
    weights = _sound(recipe, run, learner.weights(), "weights")
    run.save(state)
    run.snapshot(weights)
    page = sheet(learner.sample(SAMPLE_ROWS, torch.Generator().manual_seed(1)))
    write_whole(
        run.folder / f"sample-{run.step:06d}.png", lambda path: page.save(path, format="PNG")
    )
    write_whole(run.folder / "loss.png", lambda path: write_plot(run.lines, path))
    return time.monotonic() - began


def batch_at(data: Data, step: int, size: int, seed: int) -> Batch:
    """The step's rows: every epoch is an order of its own, and its incomplete end is left out."""
    count = len(data.train[0])
    size = min(size, count)
    epoch, index = divmod(step, count // size)
    order = torch.randperm(count, generator=_stream(seed, epoch, 0))
    rows = order[index * size : (index + 1) * size]
    return tuple(column[rows] for column in data.train)


def _advance(recipe: Recipe, learner: Learner, data: Data, run: RunFolder) -> float:
    """One step; its loss. Raises TrainingDiverged if a loss is not finite."""
    began = time.monotonic()
    batch = batch_at(data, run.step, recipe.batch, recipe.seed)
    losses = learner.step(batch, _stream(recipe.seed, run.step, 1))
    for name, value in losses.items():
        if not math.isfinite(value):
            raise _diverged(recipe, run, f"{name} is {value}")
    if run.step % LOG_EVERY == 0:
        run.lines.append((run.step, losses))
    run.step += 1
    run.seconds += time.monotonic() - began
    return losses["loss"]


def _sound(recipe: Recipe, run: RunFolder, tensors: dict[str, Any], name: str) -> dict[str, Any]:
    """The same; a loss can be finite where a weight no longer is, or of the step before."""
    if where := not_finite(tensors, name):
        raise _diverged(recipe, run, f"{where} is not finite")
    return tensors


def _diverged(recipe: Recipe, run: RunFolder, what: str) -> TrainingDiverged:
    return TrainingDiverged(
        f"{recipe.id}: {what} at step {run.step}; the last good state is in {run.folder}"
    )


def _stream(seed: int, index: int, use: int) -> torch.Generator:
    """A generator for every (seed, index, use).

    Torch takes 32 bits of a seed: counted, they come round within a long run; by a hash, two steps
    meet seldom and the next ones differ again.
    """
    digest = hashlib.sha256(f"{seed} {index} {use}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
