"""Continuous batching over flows, without Redis or HTTP; its clock is an argument.

A tick runs one batch. Flows come and go between any two ticks.
"""

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from models.artifacts import Artifact
from models.engine.activity import Activity
from models.engine.batching import BatchedFn, SeamError, run_together
from models.engine.flow import Flow, Step, resume
from models.engine.scheduler import FlowState, PendingStep, Scheduler

log = logging.getLogger("atelier.worker")

HANGS_AFTER = 10.0  # times what a batch has cost


@dataclass(frozen=True, slots=True)
class Advanced:
    """A step of a flow has run. Calling `preview` makes a preview of the result so far."""

    id: Hashable
    progress: tuple[int, int]  # done, of
    preview: Callable[[], Artifact] | None
    delta: str | None


@dataclass(frozen=True, slots=True)
class Finished:
    id: Hashable
    artifacts: tuple[Artifact, ...]
    seconds: float  # its share of the device time


@dataclass(frozen=True, slots=True)
class Failed:
    id: Hashable
    error: Exception


Event = Advanced | Finished | Failed


class Engine:
    """Drives flows together. Used by one thread."""

    def __init__(
        self,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
        activity: Activity | None = None,
    ) -> None:
        self.activity = activity or Activity()
        self._device = device
        self._clock = clock
        self._flows: dict[Hashable, FlowState] = {}
        self._scheduler = Scheduler(clock)

    def __len__(self) -> int:
        return len(self._flows)

    @torch.inference_mode()
    def add(self, id: Hashable, flow: Flow) -> list[Event]:  # noqa: A002
        """Take a flow in and run it to its first await."""
        if id in self._flows:
            raise ValueError(f"a flow with id {id!r} is running")
        state = self._flows[id] = FlowState(id, flow)
        self._scheduler.enter(state)
        return self._resume(state, None)

    def learn(self, run: BatchedFn[Any], seconds: float) -> None:
        """Note what a micro-batch of this function cost at its warm-up."""
        self._scheduler.learn(Step(run, run.example), seconds)

    def cancel(self, id: Hashable) -> None:  # noqa: A002
        """Close a flow, which gives back its slots. Does nothing for one that has just ended."""
        if state := self._flows.get(id):
            self._remove(state)

    @torch.inference_mode()
    def tick(self) -> list[Event]:
        """Run one batch. Raises only when the device is lost."""
        rows = self._scheduler.take()
        if not rows:
            return []
        start = self._clock()
        outcomes = self._run(rows)
        self._scheduler.charge(rows, self._clock() - start)
        events: list[Event] = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if row.state.id in self._flows:  # another row of its own may have failed it
                events += self._deliver(row, outcome)
        return events

    def _run(self, rows: Sequence[PendingStep]) -> list[Any]:
        """A result or an exception for each row. A failing batch is split: bad rows fail alone."""
        flows = tuple(row.state.id for row in rows)
        limit = HANGS_AFTER * self._scheduler.longest(rows)
        try:
            with self.activity.during("step", flows, limit):
                return run_together(rows[0].step.run, [r.step.row for r in rows], self._device)
        except torch.AcceleratorError:
            raise  # the device is lost: the process ends, and quarantine finds the job to blame
        except Exception as error:
            failed = error.with_traceback(None)  # a traceback would keep the tensors alive
        if len(rows) == 1:
            return [failed]
        size = len(rows) // 2 if is_out_of_memory(failed) else 1
        facts = {"rows": len(rows), "of": size, "reason": repr(failed)}
        log.warning("a batch failed; its rows are tried in smaller ones", extra=facts)
        return [o for i in range(0, len(rows), size) for o in self._run(rows[i : i + size])]

    def _deliver(self, row: PendingStep, outcome: Any) -> list[Event]:
        state, step = row.state, row.step
        if isinstance(outcome, Exception):
            return self._fail(state, outcome)
        state.results[row.index] = outcome
        state.missing -= 1
        preview = partial(self._preview, state, step, outcome) if step.preview else None
        events: list[Event] = [Advanced(state.id, step.progress, preview, step.delta)]
        if not state.missing:
            events += self._resume(state, tuple(state.results))
        return events

    def _preview(self, state: FlowState, step: Step[Any], outcome: Any) -> Artifact:
        """Make a preview, and charge the time to its flow."""
        assert step.preview is not None
        start = self._clock()
        try:
            with self.activity.during("preview", (state.id,)):
                return step.preview(outcome)
        finally:
            self._scheduler.charge_flow(state, self._clock() - start)

    def _resume(self, state: FlowState, results: tuple[Any, ...] | None) -> list[Event]:
        try:
            with self.activity.during("begin" if results is None else "resume", (state.id,)):
                state.steps = resume(state.flow, results)
        except StopIteration as end:
            return self._end(state, end.value)
        except torch.AcceleratorError:
            raise  # the device is lost, whichever flow notices it first
        except SystemExit as error:
            return self._fail(state, SeamError(f"a flow must not end the process: {error!r}"))
        except Exception as error:
            return self._fail(state, error)
        state.results, state.missing = [None] * len(state.steps), len(state.steps)
        self._scheduler.wait(state)
        return []

    def _end(self, state: FlowState, value: Any) -> list[Event]:
        if not isinstance(value, tuple) or not all(isinstance(a, Artifact) for a in value):
            return self._fail(state, SeamError("a flow must return a tuple of artifacts"))
        del self._flows[state.id]
        return [Finished(state.id, value, state.used)]

    def _fail(self, state: FlowState, error: Exception) -> list[Event]:
        self._remove(state)
        return [Failed(state.id, error)]

    def _remove(self, state: FlowState) -> None:
        del self._flows[state.id]
        self._scheduler.leave(state)
        try:
            with self.activity.during("close", (state.id,)):
                state.flow.close()
        except torch.AcceleratorError:
            raise
        except Exception as error:  # the flow is removed all the same
            log.warning("a flow did not close", extra={"flow": str(state.id)}, exc_info=error)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device, or the machine, had no memory left for a batch."""
    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return on_cpu or isinstance(error, torch.OutOfMemoryError | MemoryError)
