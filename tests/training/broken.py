"""A training in a process of its own, to be killed; it saves after every step."""

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
import torch._dynamo  # what a first optimiser would load, in every process anew

from tests.training.tiny import mlp_vae_recipe
from training.errors import TrainingStopped
from training.loop import loop
from training.loop.run_folder import RunFolder
from training.pipeline import carry_out

STEPS = 100


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    sys.stderr = StringIO()
    loop.SAVE_SECONDS, loop.SAVE_TIMES, loop.SAMPLE_ROWS = 0.0, 0.0, 2
    # the slowest part, which no test here looks at
    vars(loop)["write_plot"] = lambda lines, path: path.touch()
    recipe, run = replace(mlp_vae_recipe(), steps=STEPS), RunFolder(folder / "run")
    try:
        carry_out(recipe, folder, run, STEPS, resume=True, device=torch.device("cpu"))
    except TrainingStopped as error:
        sys.exit(128 + error.signal)


@contextmanager
def training(folder: Path) -> Iterator[BaseProcess]:
    """Forked from a process that has loaded torch already, and is gone at the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=main, args=(folder,))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def finish(folder: Path) -> bytes:
    """Train to the end; the weights that the last step left."""
    with training(folder) as process:
        process.join(60)
        assert process.exitcode == 0
    return (folder / f"run/snapshot-{STEPS:06d}.safetensors").read_bytes()
