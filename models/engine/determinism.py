"""Warm-up and self-check: does a row keep its bits whatever else is in its batch?

Every position of every batch size is tried: the size of a batch depends on how busy the machine is,
so an untested position would give other bits only now and then.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from models.engine.batching import BatchedFn, Row, run_together

Determinism = Literal["bitwise", "none"]


@dataclass(frozen=True)
class DeterminismReport:
    """What a model's functions showed when they were run for the first time."""

    determinism: Determinism
    seconds: dict[BatchedFn[Any], float]  # of a micro-batch of each


def check_determinism(
    batched: tuple[BatchedFn[Any], ...], device: torch.device
) -> DeterminismReport:
    """Run every function alone and among hostile neighbours, and compare bit for bit.

    A function that keeps its bits only in batches of its fixed size is limited to them.
    """
    for run in batched:
        if run.max_batch is not None and not _keeps_its_bits(run, device):
            run.limit_to_padded()
    same = all(run.max_batch is not None or _keeps_its_bits(run, device) for run in batched)
    return DeterminismReport(
        "bitwise" if same else "none", {run: _time(run, device) for run in batched}
    )


def _keeps_its_bits(run: BatchedFn[Any], device: torch.device) -> bool:
    rng = torch.Generator("cpu").manual_seed(0)
    probe, other = _like(run.example, rng), _like(run.example, rng)
    poison = tuple(_poisoned(t) for t in run.example)
    (alone,) = run_together(run, [probe], device)
    tried: dict[int, Sequence[int]] = {size: range(size) for size in (2, 3, run.pad_to or 8)}
    if run.pad_to == 1:  # each runs by itself: it can only remember those before it
        tried = {3: (2,)}
    if run.max_batch is not None:
        tried |= {size: range(size) for size in range((run.pad_to or 1) + 1, run.max_batch + 1)}
    for size, positions in tried.items():
        for chosen in (positions[::2], positions[1::2]):  # neighbours of a probe are never probes
            rows = [other if i // 2 % 2 else poison for i in range(size)]
            for position in chosen:
                rows[position] = probe
            results = run_together(run, rows, device) if chosen else []
            if not all(_equal(results[position], alone) for position in chosen):
                return False
    return True


def _time(run: BatchedFn[Any], device: torch.device) -> float:
    rows = [run.example] * (run.pad_to or 1)
    start = time.perf_counter()
    run_together(run, rows, device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _like(row: Row, rng: torch.Generator) -> Row:
    """A row of the same shapes with random values; whole numbers (labels, positions) stay."""
    return tuple(
        torch.randn(t.shape, generator=rng).to(t.dtype) if t.is_floating_point() else t for t in row
    )


def _poisoned(tensor: Tensor) -> Tensor:
    return torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor


def _equal(a: Any, b: Any) -> bool:
    """Whether all is the same; a probe of any numbers may well give what is none, twice alike."""
    if isinstance(a, tuple):
        return all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())
