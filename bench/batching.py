"""16 concurrent image requests against the same model run one at a time, on one core.

Both ways make the same pictures from the same seeds, from request to encoded file. The peer is
what a simple service does: for each request, one forward pass of batch 1.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial

import torch

from bench.harness import (
    CHECKPOINTS,
    CPU,
    parse_options,
    report_ratio,
    run_flows,
    seconds_of,
    skip,
    time_in_turn,
)
from models.checkpoint.weights import load
from models.engine.batching import BatchedFn, Placement
from models.engine.engine import Engine
from models.engine.flow import Family
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.base import Params
from workers.encoders.encode import encode
from workers.encoders.types import Facts


def generate(family: Family[Params], params: Params, facts: Facts, seeds: Sequence[int]) -> None:
    """Generates and encodes a picture of each seed, all through one engine."""
    flows = ((seed, family.generate(params, seeded(seed))) for seed in seeds)
    for finished in run_flows(Engine(CPU), flows):
        encode(finished.artifacts[0], "png", facts)


def unpad(family: Family[Params]) -> Family[Params]:
    """The same model with batches that are not padded."""
    for run in family.batched:
        object.__setattr__(run, "pad_to", None)
    return family


@torch.inference_mode()
def speedup_of_net(run: BatchedFn[torch.Tensor], calls: int) -> float:
    """How much faster the net alone is a row at its fixed batch than at batch 1."""

    def seconds_of_row(size: int) -> float:
        columns = [torch.stack([t] * size) for t in run.example]
        run.fn(*columns)
        return seconds_of(lambda: [run.fn(*columns) for _ in range(calls)]) / size

    return seconds_of_row(1) / seconds_of_row(run.pad_to or 1)


def measure(name: str, rounds: int, requests: int) -> None:
    path = CHECKPOINTS / f"{name}.safetensors"
    if not path.exists():
        skip(name, "its checkpoint is not there")
        return
    checkpoint = load(path)
    entry = FAMILIES[checkpoint.header.family]
    ours = entry.load(checkpoint, Placement(CPU))
    peer = unpad(entry.load(checkpoint, Placement(CPU)))
    params, facts = entry.params(), Facts(name, checkpoint.sha256, {}, 0)
    speedup = speedup_of_net(ours.batched[0], 50 if rounds else 1)

    def one_at_a_time() -> None:
        for seed in range(requests):
            generate(peer, params, facts, [seed])

    together = partial(generate, ours, params, facts, range(requests))
    report_ratio(
        f"{requests} concurrent requests of {name}, against one at a time",
        time_in_turn(rounds, together_s=together, alone_s=one_at_a_time),
        "alone_s",
        "together_s",
        "2 or more",
        net_alone_ratio=speedup,
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["vae-fashion", "dcgan-emoji"])
    options = parse_options(parser, argv, rounds=10)
    for name in options.models:
        measure(name, options.rounds, 2 if options.smoke else 16)


if __name__ == "__main__":
    main()
