"""Generates many artifacts with one model, as a worker does: the engine runs the flows together."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from models.artifacts import Artifact, Image, Video
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.engine.determinism import check_determinism
from models.engine.engine import Engine, Failed, Finished
from models.engine.flow import NOTHING, Family, Inputs
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.base import Params, item_seed

A = TypeVar("A", bound=Artifact)


def load_model(checkpoint: Checkpoint, device: torch.device) -> Family[Params]:
    """Loads a model and limits its batches to sizes that do not change a bit, as a worker does."""
    model = FAMILIES[checkpoint.header.family].load(checkpoint, Placement(device))
    check_determinism(model.batched, device)
    return model


def generate_pixels(
    model: Family[Any],
    requests: Sequence[Params],
    seed: int,
    device: torch.device,
    limit: int | None = None,
) -> Tensor:
    """Returns an image (C, H, W) or a video (F, C, H, W) per request, stacked, uint8.

    `limit` is the number of flows that run at once; None is as many as a worker would run. A large
    image counts as several.
    """
    limit = limit or max(1, model.max_items // max(params.rows for params in requests))
    images = {i: _to_uint8(a) for i, a in _run(model, requests, seed, device, limit)}
    return torch.stack([images[index] for index in range(len(requests))])


def generate_items(
    model: Family[Any],
    requests: Sequence[Params],
    seed: int,
    device: torch.device,
    kind: type[A],
    inputs: Sequence[Inputs] = (),
) -> list[A]:
    """Returns the first artifact of each request. `inputs` has the files of each, if any.

    Raises TypeError where an artifact is not of this kind.
    """
    artifacts = dict(_run(model, requests, seed, device, model.max_items, inputs))
    results: list[A] = []
    for index in range(len(requests)):
        artifact = artifacts[index]
        if not isinstance(artifact, kind):
            raise TypeError(f"expected {kind.__name__}, got {type(artifact).__name__}")
        results.append(artifact)
    return results


def _run(
    model: Family[Any],
    requests: Sequence[Params],
    seed: int,
    device: torch.device,
    limit: int,
    inputs: Sequence[Inputs] = (),
) -> Iterator[tuple[int, Artifact]]:
    """Yields the index and the first artifact of each request, in the order they complete.

    The requests are the items of a job with this seed. Raises the error of a flow that fails.
    """
    engine, waiting = Engine(device), deque(enumerate(requests))
    while waiting or len(engine):
        events = []
        while waiting and len(engine) < limit:
            index, params = waiting.popleft()
            rng = seeded(item_seed(seed, index))
            files = inputs[index] if inputs else NOTHING
            events += engine.add(index, model.generate(params, rng, files))
        for event in events + engine.tick():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                yield cast(int, event.id), event.artifacts[0]


def _to_uint8(artifact: Artifact) -> Tensor:
    if not isinstance(artifact, Image | Video):
        raise TypeError(f"expected an image or a video, got {type(artifact).__name__}")
    return artifact.pixels.clamp(0, 1).mul(255).round().byte().cpu()
