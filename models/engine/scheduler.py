"""Chooses the rows of the next batch: fair among flows, and bounded in time.

1. The next batch is of the key whose flow has the least virtual time. The batch itself counts
   twice: as time that the key will have had, and as time that the others wait for it.
2. A flow's virtual time grows by the device time of the batches it took part in, and of those it
   waited behind in its own key. So a key with more rows than one batch holds does not keep the
   other keys waiting for each of its batches.
3. It grows such that half of the time is shared evenly by keys and half by flows: a key has its own
   share, and more where many flows wait together. None has less than half of an even share of keys.
4. A new flow starts at the scheduler's own time, which every key advances equally (start-time fair
   queueing; Goyal, Vin and Cheng 1996), minus a credit of up to `CREDIT_SECONDS`, as a key of its
   own would be charged for them. The credit then takes time to grow again. So long jobs don't hold
   up a short one, and many short ones don't hold up the long ones.
5. A key that was passed over for `PATIENCE` rounds goes first, and in it a row that waited as long.
   So no row starves.
6. A turn takes the rows that fit in `TURN_SECONDS`, by the measured cost of the key. So a new
   arrival is soon seen.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from models.engine.batching import BatchedFn
from models.engine.flow import Flow, Shapes, Step

TURN_SECONDS = 0.08  # a cancel is to take effect within 100 ms
CREDIT_SECONDS = 0.25  # about a picture in twenty steps
CREDIT_SHARE = 0.25  # of the device's time: how fast it grows again
PATIENCE = 4  # rounds: of keys, a turn of each; of rows, all that wait together


@dataclass(slots=True, eq=False)
class FlowState:
    """A flow in the engine, and the results that its current await still lacks."""

    id: Hashable
    flow: Flow
    served: float = 0.0  # device seconds of the batches it took part in, and what it began with
    virtual: float = 0.0  # the same, and of those it waited behind in its key
    used: float = 0.0  # its share of them, by rows
    steps: tuple[Step[Any], ...] = ()
    results: list[Any] = field(default_factory=list)
    missing: int = 0


@dataclass(slots=True, eq=False)
class PendingStep:
    state: FlowState
    index: int  # among the steps that its flow awaits together
    step: Step[Any]
    since: float  # when it began to wait


class Scheduler:
    """Rows come in one by one and leave in batches of equal key."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._groups: dict[Hashable, list[PendingStep]] = {}
        self._turned: dict[Hashable, float] = {}  # the last turn of each key that still has rows
        self._time = 0.0  # the virtual time of a flow that arrives now
        self._credit = CREDIT_SECONDS  # by how much it may start earlier
        self._least: WeakKeyDictionary[BatchedFn[Any], dict[Shapes, float]] = WeakKeyDictionary()
        self._costs: WeakKeyDictionary[BatchedFn[Any], dict[Shapes, float]] = WeakKeyDictionary()

    def enter(self, state: FlowState) -> None:
        """Set the virtual time of a flow that has just arrived."""
        state.virtual = self._time
        if self._groups:  # else there is no other flow to pass
            keys, share = self._shares(None, 1)
            state.virtual = self._time - self._credit * 2 / (1 + keys * share)
            self._credit = 0.0

    def wait(self, state: FlowState) -> None:
        """Queue every step that this flow awaits.

        In its key it goes first for `CREDIT_SECONDS` at most, however long others have been served.
        """
        now = self._clock()
        for index, step in enumerate(state.steps):
            least = self._least.get(step.run, {}).get(step.shapes, -math.inf)
            state.served = max(state.served, least - CREDIT_SECONDS)
            self._groups.setdefault(step.key, []).append(PendingStep(state, index, step, now))

    def leave(self, state: FlowState) -> None:
        """Drop the rows of this flow."""
        for key in {step.key for step in state.steps} & self._groups.keys():
            if rows := [row for row in self._groups[key] if row.state is not state]:
                self._groups[key] = rows
            else:
                self._pop(key)

    def take(self) -> list[PendingStep]:
        """The rows of the next batch, all of one key: the overdue and least served first."""
        if not self._groups:
            return []
        now = self._clock()
        overdue = now - PATIENCE * self._round()  # whoever waits since before this
        key = self._next_key(now)
        rows = self._pop(key)
        self._note_least(rows)
        limit = self._most(rows[0].step)
        if limit is None or limit >= len(rows):
            return rows
        rows.sort(key=lambda row: (row.since >= overdue, row.state.served))
        self._groups[key], self._turned[key] = rows[limit:], now
        return rows[:limit]

    def charge(self, rows: list[PendingStep], seconds: float) -> None:
        """Charge a batch to its key, and in full to every flow that took part."""
        step = rows[0].step
        each = seconds / step.run.micro_batches(len(rows))
        known = self._costs.get(step.run, {}).get(step.shapes, each)
        self.learn(step, 0.7 * known + 0.3 * each)
        for row in rows:
            row.state.used += seconds / len(rows)
        stepped = {row.state for row in rows}
        for state in stepped:
            state.served += seconds
        own = stepped | {row.state for row in self._groups.get(step.key, ())}
        keys, share = self._shares(step.key, len(own))
        for state in own:
            state.virtual += seconds * 2 / (1 + keys * share)  # even shares of keys: as it is
        self._credit = min(CREDIT_SECONDS, self._credit + CREDIT_SHARE * seconds)
        waiting = [row.state.virtual for rows in self._groups.values() for row in rows]
        waiting += [state.virtual for state in stepped]
        on = min(self._time + seconds / keys, max(self._time, *waiting))
        self._time = max(on, min(waiting))

    def _shares(self, key: Hashable | None, own: int) -> tuple[int, float]:
        """How many keys have flows, and which share of all flows are the `own` of this one; None
        is a key that has none yet."""
        others = [rows for other, rows in self._groups.items() if other != key]
        flows = sum(len({row.state for row in rows}) for rows in others)
        return 1 + len(others), own / (own + flows)

    def charge_flow(self, state: FlowState, seconds: float) -> None:
        """Charge time that was spent on one flow alone, as on a preview."""
        state.used += seconds
        state.served += seconds
        state.virtual += seconds

    def longest(self, rows: Sequence[PendingStep]) -> float:
        """Seconds that these rows may take in one batch; 0 if nothing like them has run.

        Longer rows may cost as much as their length squared, as attention does.
        """
        step = rows[0].step
        return self._cost(step, power=2) * step.run.micro_batches(len(rows))

    def learn(self, step: Step[Any], seconds: float) -> None:
        """Note the seconds of a micro-batch like this, measured now or at the model's warm-up."""
        self._costs.setdefault(step.run, {})[step.shapes] = seconds

    def _note_least(self, rows: list[PendingStep]) -> None:
        """Note the time of the least served row of a key; it never falls."""
        step, served = rows[0].step, min(row.state.served for row in rows)
        noted = self._least.setdefault(step.run, {})
        noted[step.shapes] = max(noted.get(step.shapes, 0.0), served)

    def _pop(self, key: Hashable) -> list[PendingStep]:
        self._turned.pop(key, None)
        return self._groups.pop(key)

    def _round(self) -> float:
        """Seconds to run every waiting row once, by the measured costs."""
        return sum(map(self._cost_of_all, self._groups.values()))

    def _round_of_keys(self) -> float:
        """Seconds of one turn of every key."""
        longest = [max(TURN_SECONDS, self._cost(rows[0].step)) for rows in self._groups.values()]
        return sum(map(min, longest, map(self._cost_of_all, self._groups.values())))

    def _cost_of_all(self, rows: list[PendingStep]) -> float:
        return self._cost(rows[0].step) * rows[0].step.run.micro_batches(len(rows))

    def _next_key(self, now: float) -> Hashable:
        if len(self._groups) == 1:
            return next(iter(self._groups))
        since = {
            key: max(min(row.since for row in rows), self._turned.get(key, -math.inf))
            for key, rows in self._groups.items()
        }
        longest = min(since, key=since.__getitem__)
        overdue = now - PATIENCE * self._round_of_keys()
        return longest if since[longest] < overdue else min(self._groups, key=self._turn)

    def _turn(self, key: Hashable) -> tuple[float, float]:
        rows = self._groups[key]
        virtual = min(row.state.virtual for row in rows)
        return virtual + 2 * self._cost(rows[0].step), rows[0].since

    def _most(self, step: Step[Any]) -> int | None:
        cost = self._cost(step)
        unit = step.run.pad_to or step.run.cost_unit
        return unit * max(1, int(TURN_SECONDS / cost)) if cost else None

    def _cost(self, step: Step[Any], power: int = 1) -> float:
        """Measured seconds of one micro-batch like this; 0 before the first has run.

        If only other shapes have run, their cost is scaled by the tensor that grew most: a first
        turn of large rows must not take too many of them.
        """
        known = self._costs.get(step.run, {})
        if step.shapes in known:
            return known[step.shapes]
        return max(
            (cost * _growth(shapes, step.shapes) ** power for shapes, cost in known.items()),
            default=0,
        )


def _growth(before: Shapes, after: Shapes) -> float:
    """By how much the tensor that grew most has grown. Rows of other lengths fail when they run."""
    sizes = zip(before, after, strict=False)
    return max((b.numel() / max(a.numel(), 1) for (a, _), (b, _) in sizes), default=1)
