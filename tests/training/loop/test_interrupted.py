"""A training that is killed, stopped or interrupted at any moment goes on to the same bytes."""

import math
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.broken import STEPS, finish, training
from tests.training.tiny import gan_recipe
from training.errors import TrainingDiverged, TrainingStopped
from training.loop import loop
from training.loop.run_folder import RunFolder
from training.loop.signals import deferred_signals
from training.recipe import Batch, Learner

CPU = torch.device("cpu")


def wait_for_a_state(folder: Path, after: int) -> None:
    """Until a state was written after the one of that time."""
    end = time.monotonic() + 60
    while written(folder) <= after:
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.002)


def written(folder: Path) -> int:
    state = folder / "run/state.pt"
    return state.stat().st_mtime_ns if state.exists() else 0


def saved_step(folder: Path) -> int:
    run = RunFolder(folder / "run")
    run.load(CPU)
    return run.step


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return finish(tmp_path_factory.mktemp("unbroken"))


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing_that_was_saved(tmp_path: Path, unbroken: bytes) -> None:
    moments, steps = random.Random(5), [0]
    for _ in range(4):
        with training(tmp_path) as process:
            wait_for_a_state(tmp_path, written(tmp_path))
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
            process.join()
        steps.append(saved_step(tmp_path))
    assert steps == sorted(steps)
    assert 0 < steps[1] < STEPS, "no kill fell into the training"
    assert finish(tmp_path) == unbroken
    assert not list((tmp_path / "run").glob("*.part"))
    assert (tmp_path / "tiny-mlp-vae.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_it_is_at(
    tmp_path: Path, unbroken: bytes, number: signal.Signals
) -> None:
    with training(tmp_path) as process:
        wait_for_a_state(tmp_path, 0)
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(20)
        assert process.exitcode == 128 + number
    assert 0 < saved_step(tmp_path) < STEPS
    assert finish(tmp_path) == unbroken


class Signalled:
    """A learner to whose step `at` a signal comes."""

    def __init__(self, learner: Learner, at: int) -> None:
        self.learner, self.at, self.steps = learner, at, 0
        self.sample, self.weights, self.state = learner.sample, learner.weights, learner.state
        self.restore = learner.restore

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.learner.step(batch, rng)


@pytest.mark.parametrize("at", [1, 3, 7])
def test_no_step_is_lost_or_repeated(tmp_path: Path, at: int) -> None:
    recipe, run = gan_recipe(), RunFolder(tmp_path)
    learner = Signalled(recipe.learner(recipe.card, CPU), at)
    with pytest.raises(TrainingStopped, match=f"tiny-gan: stopped at step {at}") as error:
        loop.train(recipe, learner, recipe.data(), run, recipe.steps)
    assert error.value.signal == signal.SIGTERM
    again = RunFolder(tmp_path)
    assert again.load(CPU)["steps"] == again.step == at


def test_a_signal_does_not_save_what_is_not_finite(tmp_path: Path) -> None:
    recipe, run = gan_recipe(), RunFolder(tmp_path)
    learner = Signalled(recipe.learner(recipe.card, CPU), 2)
    learner.state = lambda: {"w": torch.tensor(math.inf)}
    with pytest.raises(TrainingDiverged, match=r"state\.w is not finite at step 2"):
        loop.train(recipe, learner, recipe.data(), run, recipe.steps)
    assert not run.saved()


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C interrupts: a shell that starts tests in the background lets them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_a_second_signal_is_not_held_back() -> None:
    with deferred_signals() as noted:
        os.kill(os.getpid(), signal.SIGINT)
        assert noted() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with deferred_signals() as noted:
        assert noted() is None
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
