"""A family that does nothing, to see what everything around it costs.

`python -m bench.noop` is a worker that serves it.
"""

import sys
import time

import torch

from models.artifacts import Artifact, Image
from models.checkpoint.weights import Checkpoint
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs
from models.families import FAMILIES, FamilyEntry
from models.params.base import Params


class Noop:
    """Its flow awaits nothing and ends in one grey pixel."""

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


def work(bursts: bool) -> None:
    """Works until it is stopped. With `bursts`, empties the queue once for each line of standard
    input, and prints the seconds of processor time."""
    from app.core.settings import Settings
    from workers.main import WorkerProcess

    register()
    torch.set_num_threads(1)
    if not bursts:
        WorkerProcess(Settings(), "bench").work()
        return
    for number, _ in enumerate(sys.stdin):
        start = time.process_time()
        WorkerProcess(Settings(), f"bench-{number}").work(burst=True)
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    work(bursts=sys.argv[1:] == ["bursts"])
