"""A batched function with its policy, and the one place that pads, stacks, runs and unstacks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Row = tuple[Tensor, ...]  # arguments of a batched function, without the batch dimension


class SeamError(TypeError):
    """A flow or a batched function broke the contract between them."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The device and precision of a model's weights."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    language_dtype: torch.dtype | None = None  # of language models' weights; None is `dtype`
    memory_limit: int | None = None  # bytes that a loaded model may take


@dataclass(frozen=True, eq=False)  # no slots: Python 3.12 can't refer weakly to one that has them
class BatchedFn(Generic[T]):
    """A function over a batch, and the policy for calling it; built once per loaded model.

    `fn` takes tensors with a leading batch dimension and returns a tensor, or a tuple of tensors,
    with as many rows. `example` is one row of its arguments: it warms up, checks determinism, and
    pads a batch to `pad_to`. Where larger batches give the same bits, `max_batch` rows run at
    once; `check_determinism` tests that when the model is loaded, and limits it if it isn't so.
    Rows of another shape than the example's are padded with the first of them, and run `pad_to` at
    once, since nothing more was tested of their shape. Identity is the key, so two models never
    share a batch.
    """

    fn: Callable[..., Any]
    example: tuple[Tensor, ...]
    pad_to: int | None = 4  # a fixed batch size; None only where rows are proved independent
    max_batch: int | None = None  # rows that run at once, where that many give the same bits
    cost_unit: int = 1  # rows that cost about as much as one, where batches are not padded
    dtype: torch.dtype = torch.float32  # floating rows are cast to it, and results back to float32
    channels_last: bool = False
    grad: bool = False

    def __post_init__(self) -> None:
        if torch.is_inference_mode_enabled():  # flows resume under inference mode
            raise SeamError("a BatchedFn is built once per loaded model, never inside a flow")
        if self.pad_to is not None and self.pad_to < 1:
            raise ValueError("pad_to must be at least 1")
        if self.max_batch is not None and self.max_batch < (self.pad_to or 1):
            raise ValueError("max_batch must be at least pad_to")

    def micro_batches(self, rows: int) -> int:
        """How many times the cost of the smallest batch so many rows take, about."""
        return -(-rows // (self.pad_to or self.cost_unit))

    def limit_to_padded(self) -> None:
        """Never run more than `pad_to` rows at once: a larger batch gave other bits."""
        object.__setattr__(self, "max_batch", None)


def run_together(run: BatchedFn[T], rows: Sequence[Row], device: torch.device) -> list[T]:
    """Pad, stack, run, unstack: each row, all of one shape, gets its own row of the result."""
    known = bool(rows) and _shapes(rows[0]) == _shapes(run.example)
    size = (run.max_batch if known else None) or run.pad_to or len(rows)
    results: list[T] = []
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        padding = run.example if known else batch[0]
        padded = [*batch, *[padding] * ((run.pad_to or 1) - len(batch))]
        results += _run_batch(run, padded, len(batch), device)
    return results


def _shapes(row: Row) -> list[torch.Size]:
    return [tensor.shape for tensor in row]


def _run_batch(
    run: BatchedFn[T], padded: Sequence[Row], count: int, device: torch.device
) -> list[T]:
    home = padded[0][0].device  # a flow need not know where its rows are run
    with torch.inference_mode(not run.grad):
        columns = [_column(run, tensors, device) for tensors in zip(*padded, strict=True)]
        return _unstack(run.fn(*columns), len(padded), home)[:count]


def _column(run: BatchedFn[Any], tensors: Row, device: torch.device) -> Tensor:
    column = torch.stack(tensors)  # (B, ...)
    if column.device != device:
        column = column.to(device, non_blocking=True)
    if column.is_floating_point() and column.dtype != run.dtype:
        column = column.to(run.dtype)
    if run.channels_last and column.ndim == 4:
        column = column.contiguous(memory_format=torch.channels_last)
    return column


def _unstack(out: Any, size: int, home: torch.device) -> list[Any]:
    if isinstance(out, tuple):
        return list(zip(*(_unstack(column, size, home) for column in out), strict=True))
    if not isinstance(out, Tensor) or out.ndim == 0 or out.shape[0] != size:
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise SeamError(f"a batched function must return {size} rows, got {shape}")
    if out.requires_grad:
        out = out.detach()
    if out.is_floating_point() and out.dtype != torch.float32:
        out = out.float()
    return list(out.to(home).unbind(0))
