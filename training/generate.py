"""Many artifacts from one model, as the service would make them: all flows advance together."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement, run_together
from models.engine.determinism import check_determinism
from models.engine.flow import Family, Flow, Step, resume
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.base import Params, item_seed

Waiting = tuple[int, tuple[Step[Any], ...]]


def load_model(checkpoint: Checkpoint, device: torch.device) -> Family[Params]:
    """Proved as a worker does it, so that no batch is larger than what keeps every bit."""
    model = FAMILIES[checkpoint.header.family].load(checkpoint, Placement(device))
    check_determinism(model.batched, device)
    return model


def pictures_of(
    model: Family[Params], wanted: Iterable[Params], seed: int, device: torch.device
) -> Tensor:
    """One picture for each of the params, uint8 (N, C, H, W): the items of a job of this seed.

    As many at a time as a worker would hold; large ones, which count as several rows, are fewer.
    """
    asked = list(wanted)
    abreast = max(1, model.max_items // max(params.rows for params in asked))
    ends = {
        place: _bytes(made[0])
        for place, made in ends_of(items_of(model, asked, seed), abreast, device)
    }
    return torch.stack([ends[place] for place in sorted(ends)])


def items_of(model: Family[Any], asked: Iterable[Params], seed: int) -> Iterator[Flow]:
    """The flows of a job of this seed, each begun when it is asked for."""
    for place, params in enumerate(asked):
        yield model.generate(params, seeded(item_seed(seed, place)))


def _bytes(picture: Artifact) -> Tensor:
    """[0, 1] to uint8, which thousands of pictures can be kept as."""
    if not isinstance(picture, Image):
        raise TypeError(f"a picture was to come, not {type(picture).__name__}")
    return picture.pixels.clamp(0, 1).mul(255).round().byte().cpu()


def ends_of(
    flows: Iterator[Flow], abreast: int, device: torch.device
) -> Iterator[tuple[int, tuple[Artifact, ...]]]:
    """What each flow made with its place, as they end; so many flows at a time."""
    numbered = enumerate(flows)
    running: dict[int, Flow] = {}
    results: dict[int, tuple[Any, ...] | None] = {}
    with torch.inference_mode():
        while True:
            for place, flow in islice(numbered, abreast - len(running)):
                running[place], results[place] = flow, None
            if not running:
                return
            waiting: list[Waiting] = []
            for place, given in results.items():
                try:
                    waiting.append((place, resume(running[place], given)))
                except StopIteration as end:
                    del running[place]
                    yield place, end.value
            results = _run(waiting, device)


def _run(waiting: list[Waiting], device: torch.device) -> dict[int, tuple[Any, ...] | None]:
    """Every row that is waited for, those of equal key together; the results of each flow."""
    groups: dict[Any, list[tuple[int, int]]] = {}
    steps = dict(waiting)
    for place, own in waiting:
        for index, step in enumerate(own):
            groups.setdefault(step.key, []).append((place, index))
    found: dict[tuple[int, int], Any] = {}
    for rows in groups.values():
        run = steps[rows[0][0]][rows[0][1]].run
        done = run_together(run, [steps[place][index].row for place, index in rows], device)
        found.update(zip(rows, done, strict=True))
    return {p: tuple(found[p, i] for i in range(len(own))) for p, own in waiting}
