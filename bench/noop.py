"""A family that does nothing, to see what everything around it costs."""

import time

import torch

from models.artifacts import Artifact, Image
from models.checkpoint.weights import Checkpoint
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs
from models.families import FAMILIES, FamilyEntry
from models.params.base import Params


class Noop:
    """Its story awaits nothing and ends in one grey pixel."""

    max_items = 1024
    item_bytes = 1024
    batched: tuple[BatchedFn[torch.Tensor], ...] = ()

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.pixel = torch.full((1, 1, 1), 0.5, device=placement.device)

    async def generate(
        self, params: Params, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        return (Image(self.pixel),)


def register() -> None:
    FAMILIES["noop"] = FamilyEntry("image", Params, "bench.noop:Noop")


def worker() -> None:
    """Work off what waits, twice: when told by a line on standard input, and print the CPU time."""
    from app.core.settings import Settings
    from workers.main import WorkerProcess

    register()
    torch.set_num_threads(1)
    for name in ("warm-up", "measured"):
        input()
        start = time.process_time()
        WorkerProcess(Settings(), f"bench-{name}").work(burst=True)
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    worker()
