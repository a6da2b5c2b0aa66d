"""A family that does nothing, to see what everything around it costs."""

import sys

import torch

from models.artifacts import Artifact, Image
from models.batching import Batched, Place
from models.checkpoint import Checkpoint
from models.families import FAMILIES, FamilyEntry
from models.params import Params


class Noop:
    """Its story awaits nothing and ends in one grey pixel."""

    max_items = 1024
    item_bytes = 1024
    batched: tuple[Batched[torch.Tensor], ...] = ()

    def __init__(self, checkpoint: Checkpoint, place: Place) -> None:
        self.pixel = torch.full((1, 1, 1), 0.5, device=place.device)

    async def generate(self, params: Params, rng: torch.Generator) -> tuple[Artifact, ...]:
        return (Image(self.pixel),)


def register() -> None:
    FAMILIES["noop"] = FamilyEntry("image", Params, "bench.noop:Noop")


def worker() -> None:
    """A worker process of this service that knows the no-op family, in RQ's burst mode."""
    from app.settings import Settings
    from workers.main import Process

    register()
    torch.set_num_threads(1)
    Process(Settings(), f"bench-{sys.argv[1]}").work(burst=True)


if __name__ == "__main__":
    worker()
