"""The flow contract: a family writes a request as a coroutine that awaits its calls of nets.

A flow is a coroutine, but this is not asyncio: the only thing it may await is a `Step` (or
several, by `gather`). Whoever drives it groups waiting steps of equal key, stacks their rows,
runs once and hands each row back.

Laws:

1. All randomness comes from the request's own CPU generator, is drawn in the flow and passed as
   rows. Item i of n has a seed of its own. Batch-mates never matter.
2. `BatchedFn.fn` may be called again with the same rows: it is pure, or writes at an explicit slot
   and position. So a failed batch is retried row by row and only the guilty request fails.
3. Nothing per-request lives on a module, except by slot.
4. A step should cost a millisecond or more; a fast autoregressive family advances many samples.
5. Cancel is `flow.close()`; `with` blocks give back what they hold.
6. Padding, dtype, device and memory format belong to `run_together`, never to a flow.
7. A flow depends on no flow before it: a slot is zeroed when taken, but for what the flow would
   write there, bit for bit, and for places that nothing reads. Slot 0 is scratch for padding rows.
   A family declares how many items it can hold, so that a flow never waits for a slot.
8. An artifact that is not finite fails its own flow.
9. Only out-of-memory and ordinary errors are split row by row; a lost device ends the process.
"""

from collections.abc import Callable, Coroutine, Generator, Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Protocol

import torch
from torch import Tensor
from typing_extensions import TypeVar

from models.artifacts import Artifact
from models.engine.batching import BatchedFn, SeamError, run_together

T = TypeVar("T")
R = TypeVar("R", default=tuple[Artifact, ...])
P_contra = TypeVar("P_contra", contravariant=True)
Shapes = tuple[tuple[torch.Size, torch.dtype], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Step(Generic[T]):
    """One row of batched work. Awaiting it gives this row of the result."""

    run: BatchedFn[T]
    row: tuple[Tensor, ...]  # arguments without the batch dimension
    progress: tuple[int, int] = (0, 1)  # done, of: how far the flow is once this step has run
    preview: Callable[[T], Artifact] | None = None  # called only if a preview is due
    delta: str | None = None  # text that is final now: always delivered, in order
    shapes: Shapes = field(init=False)
    key: Hashable = field(init=False)  # steps of equal key share a batch

    def __post_init__(self) -> None:
        if not isinstance(self.run, BatchedFn):
            raise SeamError(
                "Step.run must be a BatchedFn: a function made per request never batches"
            )
        shapes = tuple((r.shape, r.dtype) for r in self.row)
        object.__setattr__(self, "shapes", shapes)
        object.__setattr__(self, "key", (self.run, shapes))

    def __await__(self) -> Generator[tuple["Step[Any]", ...], tuple[Any, ...], T]:
        (result,) = yield (self,)
        return result  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class gather:  # noqa: N801 - called like a function: await gather(a, b)
    """Several rows of one flow at once: frames, cutouts, the points of an interpolation."""

    steps: tuple[Step[Any], ...]

    def __init__(self, *steps: Step[Any]) -> None:
        if not steps:
            raise SeamError("gather() needs at least one step")
        object.__setattr__(self, "steps", steps)

    def __await__(self) -> Generator[tuple[Step[Any], ...], tuple[Any, ...], tuple[Any, ...]]:
        return (yield self.steps)


Flow = Coroutine[tuple[Step[Any], ...], tuple[Any, ...], R]
"""A coroutine that awaits steps; `Flow[T]` returns a T, and plain `Flow` a request's artifacts."""


@dataclass(frozen=True, slots=True)
class gather_flows(Generic[T]):  # noqa: N801 - called like a function
    """Several flows of one request side by side: they await together, whatever each awaits."""

    flows: tuple[Flow[T], ...]

    def __init__(self, *flows: Flow[T]) -> None:
        if not flows:
            raise SeamError("gather_flows() needs at least one flow")
        object.__setattr__(self, "flows", flows)

    def __await__(self) -> Generator[tuple[Step[Any], ...], tuple[Any, ...], tuple[T, ...]]:
        ends: dict[int, T] = {}
        waiting: dict[int, tuple[Step[Any], ...]] = {}
        sent: dict[int, tuple[Any, ...] | None] = dict.fromkeys(range(len(self.flows)))
        try:
            while sent:
                for index, results in sent.items():
                    try:
                        waiting[index] = resume(self.flows[index], results)
                    except StopIteration as end:
                        ends[index] = end.value
                        waiting.pop(index, None)
                rows = (
                    (yield tuple(s for steps in waiting.values() for s in steps)) if waiting else ()
                )
                row = iter(rows)
                sent = {i: tuple(next(row) for _ in steps) for i, steps in waiting.items()}
        finally:
            for flow in self.flows:
                flow.close()
        return tuple(ends[index] for index in range(len(self.flows)))


Inputs = Mapping[str, Artifact]
"""The files that a request refers to, by the names of its params; read before its flow starts."""
NOTHING: Inputs = MappingProxyType({})


class Family(Protocol[P_contra]):
    """A loaded model: how one request runs, and what admission must know."""

    batched: tuple[BatchedFn[Any], ...]  # every function its flows await
    max_items: int  # flows it can hold at once
    item_bytes: int  # memory that one item in flight takes at most, weights aside

    def generate(
        self, params: P_contra, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> Flow: ...


def resume(flow: Flow[Any], results: tuple[Any, ...] | None) -> tuple[Step[Any], ...]:
    """Run a flow to its next await. Call under inference mode. Raises StopIteration at its end."""
    steps = flow.send(results)  # type: ignore[arg-type]
    if type(steps) is not tuple or not all(isinstance(step, Step) for step in steps):
        raise SeamError(f"a flow may await a Step and nothing else, got {type(steps).__name__}")
    return steps


def run_alone(flow: Flow, device: torch.device | None = None) -> tuple[Artifact, ...]:
    """Drive one flow by itself: the reference that every batched run must equal, bit for bit."""
    device = device or torch.device("cpu")
    results: tuple[Any, ...] | None = None
    with torch.inference_mode():
        while True:
            try:
                steps = resume(flow, results)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            results = tuple(run_together(s.run, [s.row], device)[0] for s in steps)
