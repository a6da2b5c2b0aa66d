"""The engine's own cost: its ticks and rows against the same batched calls in a bare loop."""

from argparse import ArgumentParser
from collections.abc import Sequence
from time import perf_counter

import torch
from torch import Tensor

from bench.harness import CPU, Unfinished, parse_options, report
from models.artifacts import Artifact, Image
from models.engine.batching import BatchedFn
from models.engine.engine import Engine
from models.engine.flow import Step


async def flow_of(run: BatchedFn[Tensor], steps: int, finished: list[int]) -> tuple[Artifact, ...]:
    x = torch.zeros(1)
    for i in range(steps):
        await Step(run, (x,), progress=(i, steps))
    finished.append(1)
    return (Image(x.reshape(1, 1, 1)),)


def seconds_of_tick(flows: int, steps: int) -> float:
    """Seconds of a tick over some flows whose function does nothing."""
    run: BatchedFn[Tensor] = BatchedFn(lambda x: x, (torch.zeros(1),), pad_to=None)
    engine, finished = Engine(CPU), list[int]()
    for i in range(flows):
        engine.add(i, flow_of(run, steps, finished))
    start, ticks = perf_counter(), 0
    while len(engine):
        engine.tick()
        ticks += 1
    seconds = perf_counter() - start
    if len(finished) != flows:
        raise Unfinished(f"{flows - len(finished)} flows did not end")
    return seconds / ticks


def seconds_of_bare_loop(rows: int, steps: int) -> float:
    """Seconds of stacking and unstacking alone."""
    row = torch.zeros(1)
    start = perf_counter()
    with torch.inference_mode():
        for _ in range(steps):
            torch.stack([row] * rows).unbind(0)
    return (perf_counter() - start) / steps


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv)
    steps = 20 if options.smoke else 2000
    seconds_of_tick(4, steps)
    one, many = (min(seconds_of_tick(n, steps) for _ in range(3)) for n in (1, 33))
    row = (many - one) / 32
    bare = (seconds_of_bare_loop(33, steps) - seconds_of_bare_loop(1, steps)) / 32
    report(
        "engine overhead, against stack and unbind in a bare loop",
        row / bare,
        "60 us a tick, 8 us a row",
        tick_us=1e6 * (one - row),
        row_us=1e6 * row,
        bare_row_us=1e6 * bare,
    )


if __name__ == "__main__":
    main()
