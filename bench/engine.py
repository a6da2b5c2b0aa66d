"""The engine's own cost: its ticks and rows against the same batched calls in a bare loop."""

import time

import torch
from torch import Tensor

from bench.bed import Unfinished, report
from models.artifacts import Artifact, Image
from models.engine.batching import BatchedFn
from models.engine.engine import Engine
from models.engine.flow import Step

CPU = torch.device("cpu")
STEPS = 2000


async def story(run: BatchedFn[Tensor], x: Tensor, ended: list[int]) -> tuple[Artifact, ...]:
    for i in range(STEPS):
        await Step(run, (x,), progress=(i, STEPS))
    ended.append(1)
    return (Image(x.reshape(1, 1, 1)),)


def engine_tick(flows: int) -> float:
    """Seconds of a tick over so many flows whose function does nothing."""
    run: BatchedFn[Tensor] = BatchedFn(lambda x: x, (torch.zeros(1),), pad_to=None)
    engine, ended = Engine(CPU), list[int]()
    for i in range(flows):
        engine.add(i, story(run, torch.zeros(1), ended))
    start = time.perf_counter()
    ticks = 0
    while len(engine):
        engine.tick()
        ticks += 1
    seconds = time.perf_counter() - start
    if len(ended) != flows:
        raise Unfinished(f"{flows - len(ended)} flows did not end")
    return seconds / ticks


def bare_loop(rows: int) -> float:
    """Seconds of stacking, calling and unstacking alone."""
    row = torch.zeros(1)
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(STEPS):
            torch.stack([row] * rows).unbind(0)
    return (time.perf_counter() - start) / STEPS


def main() -> None:
    torch.set_num_threads(1)
    engine_tick(4)
    one, many = (min(engine_tick(n) for _ in range(3)) for n in (1, 33))
    row, bare = (many - one) / 32, (bare_loop(33) - bare_loop(1)) / 32
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
