"""16 concurrent image requests against the same model run one at a time, on one core.

Both ways make the same pictures from the same seeds, from request to encoded file. The peer is
what a simple service does: for each request, one forward pass of batch 1.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from bench.bed import checked, report, skip
from models.checkpoint.weights import load
from models.engine.batching import BatchedFn, Placement
from models.engine.engine import Engine, Finished
from models.engine.flow import Family
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.base import Params
from workers.encoders.encode import encode
from workers.encoders.types import Facts

CPU = torch.device("cpu")
ROUNDS, REQUESTS = 12, 16
CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"


def together(family: Family[Params], params: Params, facts: Facts) -> float:
    """Seconds for all requests through the engine."""
    start = time.perf_counter()
    engine = Engine(CPU)
    for seed in range(REQUESTS):
        checked(engine.add(seed, family.generate(params, seeded(seed))))
    while len(engine):
        for event in checked(engine.tick()):
            if isinstance(event, Finished):
                encode(event.artifacts[0], "png", facts)
    return time.perf_counter() - start


def one_at_a_time(family: Family[Params], params: Params, facts: Facts) -> float:
    """Seconds for the same, each request alone and unpadded."""
    start = time.perf_counter()
    for seed in range(REQUESTS):
        engine = Engine(CPU)
        checked(engine.add(seed, family.generate(params, seeded(seed))))
        while len(engine):
            for event in checked(engine.tick()):
                if isinstance(event, Finished):
                    encode(event.artifacts[0], "png", facts)
    return time.perf_counter() - start


def unpadded(family: Family[Params]) -> Family[Params]:
    """The same model with batches of just the rows there are."""
    for run in family.batched:
        object.__setattr__(run, "rows", None)
    return family


def net_ceiling(run: BatchedFn[torch.Tensor]) -> float:
    """How much faster the net alone is a row at its fixed batch than at batch 1."""
    rows, times = run.pad_to or 1, {}
    for size in (1, rows):
        columns = [torch.stack([t] * size) for t in run.example]
        with torch.inference_mode():
            run.fn(*columns)
            start = time.perf_counter()
            for _ in range(50):
                run.fn(*columns)
        times[size] = (time.perf_counter() - start) / size
    return times[1] / times[rows]


def measure(name: str) -> None:
    path = CHECKPOINTS / f"{name}.safetensors"
    if not path.exists():
        skip(name, "its checkpoint is not there")
        return
    checkpoint, place = load(path), Placement(CPU)
    entry = FAMILIES[checkpoint.header.family]
    mine, peer = entry.load(checkpoint, place), unpadded(entry.load(checkpoint, place))
    params, facts = entry.params(), Facts(name, checkpoint.sha256, {}, 0)
    ceiling = net_ceiling(mine.batched[0])
    pairs = [
        (together(mine, params, facts), one_at_a_time(peer, params, facts)) for _ in range(ROUNDS)
    ][2:]
    report(
        f"{REQUESTS} concurrent requests of {name}, against one at a time",
        statistics.median(alone / batched for batched, alone in pairs),
        "2 or more",
        together_ms=1000 * statistics.median(batched for batched, _ in pairs),
        alone_ms=1000 * statistics.median(alone for _, alone in pairs),
        net_alone_ratio=ceiling,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["vae-fashion", "dcgan-emoji"])
    torch.set_num_threads(1)
    for name in parser.parse_args().models:
        measure(name)


if __name__ == "__main__":
    main()
