"""Jobs in flight: their items go into the engine as room allows, and what comes out is sorted.

No Redis and no threads here: claims go in, and messages for delivery come out.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from app.settings import Settings
from models.artifacts import Artifact
from models.draws import seeded
from models.families import FAMILIES
from models.params import Params, item_seed
from workers.desk import Claim
from workers.encode import Facts
from workers.engine import Advanced, Engine, Event, Failed, Finished
from workers.host import Loaded

log = logging.getLogger("atelier.worker")

ENVELOPE = {"n", "seed", "output_format"}  # fields of every request; the rest is its family's
TELL_SECONDS = 0.1  # between two notes of a job's progress, at least


@dataclass(frozen=True, slots=True)
class Told:
    """A job's progress, and perhaps a picture of an item so far."""

    claim: Claim
    done: int
    steps: int
    preview: tuple[int, Artifact] | None = None
    deltas: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """An item is done: its artifacts, and what to write into their files."""

    claim: Claim
    index: int
    artifacts: tuple[Artifact, ...]
    output_format: str
    facts: Facts
    done: int
    steps: int


@dataclass(frozen=True, slots=True)
class Ended:
    """No item of the job runs any more. An error, if it ended in one."""

    claim: Claim
    outcome: str  # finished, failed or canceled
    error: Exception | None
    compute_ms: int
    determinism: str
    steps: int


Message = Told | Made | Ended


@dataclass(eq=False)
class Run:
    """A job in flight here."""

    claim: Claim
    model: Loaded
    params: Params
    input: dict[str, Any]
    items: int
    seed: int
    started: int = 0  # items given to the engine
    seconds: float = 0.0
    active: set[int] = field(default_factory=set)
    progress: dict[int, tuple[int, int]] = field(default_factory=dict)
    told: float = 0.0  # when progress was last sent
    drawn: float = 0.0  # when a preview was last sent
    over: bool = False

    @property
    def alone(self) -> bool:
        return "alone" in self.claim.record

    @property
    def left(self) -> int:
        """Items that are not done."""
        return 0 if self.over else self.items - self.started + len(self.active)

    def totals(self) -> tuple[int, int]:
        """Steps done and steps, over all items; those that have not begun are like the rest."""
        done = sum(d for d, _ in self.progress.values())
        steps = sum(s for _, s in self.progress.values())
        known = len(self.progress)
        return done, steps * self.items // known if known else 0


class Runs:
    """All jobs in flight. A job leaves once its end is committed, or it was lost."""

    def __init__(self, engine: Engine, settings: Settings, send: Callable[[Message], None]) -> None:
        self._engine, self._send = engine, send
        self._capacity, self._memory = settings.capacity, settings.run_memory
        self._preview_interval = settings.preview_interval
        self._runs: dict[str, Run] = {}
        self._refused: dict[str, Claim] = {}

    @property
    def claims(self) -> list[Claim]:
        """Every job that is ours, those whose end is not committed yet included."""
        return [run.claim for run in self._runs.values()] + list(self._refused.values())

    def __len__(self) -> int:
        return len(self._runs) + len(self._refused)

    @property
    def unfinished(self) -> list[Claim]:
        return [run.claim for run in self._runs.values() if not run.over]

    @property
    def running(self) -> bool:
        """Whether the engine has anything to step."""
        return len(self._engine) > 0

    @property
    def alone(self) -> bool:
        return any(run.alone for run in self._runs.values())

    def items_of(self, sha256: str | None = None) -> int:
        """Items not done yet, of one model or of all."""
        held = self._runs.values()
        return sum(r.left for r in held if sha256 in (None, r.model.entry.sha256))

    def bytes_taken(self) -> int:
        """Memory that the items in flight may take, weights aside."""
        return sum(run.left * run.model.family.item_bytes for run in self._runs.values())

    def busy(self) -> set[str]:
        """Models with jobs in flight, by sha256."""
        return {run.model.entry.sha256 for run in self._runs.values() if not run.over}

    def start(self, claim: Claim, model: Loaded) -> None:
        """Take a claimed job in. Bad input can't happen here: if it does, the job fails."""
        given = json.loads(claim.record["input"])
        kind = FAMILIES[model.entry.header.family].params
        items, seed = int(claim.record["items"]), int(claim.record["seed"])
        params = kind.model_validate({k: v for k, v in given.items() if k not in ENVELOPE})
        self._runs[claim.job] = Run(claim, model, params, given, items, seed)
        log.info("job started", extra={"job": claim.job, "attempt": claim.record["attempt"]})

    def refuse(self, claim: Claim, error: Exception) -> None:
        """A claimed job that can't even begin fails."""
        self._refused[claim.job] = claim
        self._send(Ended(claim, "failed", error, 0, "", 0))

    def admit(self) -> None:
        """Give items to the engine, oldest job first, as room allows."""
        for run in list(self._runs.values()):
            while run.started < run.items and not run.over and self._has_room(run.model):
                index = run.started
                run.started += 1
                run.active.add(index)
                run.model.used = time.monotonic()
                rng = seeded(item_seed(run.seed, index))
                flow = run.model.family.generate(run.params, rng)
                self.sort(self._engine.add((run.claim.job, index), flow))

    def _has_room(self, model: Loaded) -> bool:
        held = self._runs.values()
        here = sum(len(r.active) for r in held if r.model is model)
        taken = sum(len(r.active) * r.model.family.item_bytes for r in held)
        fits = taken == 0 or taken + model.family.item_bytes <= self._memory
        return fits and len(self._engine) < self._capacity and here < model.family.max_items

    def sort(self, events: list[Event]) -> None:
        """Send on what a tick of the engine brought."""
        for event in events:
            job, index = cast(tuple[str, int], event.id)
            run = self._runs.get(job)
            if run is None or run.over:
                continue
            match event:
                case Advanced():
                    self._advanced(run, index, event)
                case Finished():
                    self._finished(run, index, event)
                case Failed():
                    log.warning(
                        "item failed", extra={"job": job, "item": index}, exc_info=event.error
                    )
                    self.end(job, "failed", event.error)

    def _advanced(self, run: Run, index: int, event: Advanced) -> None:
        run.progress[index] = event.progress
        now = time.monotonic()
        preview = self._preview(run, index, event, now)
        deltas = () if event.delta is None else ((index, event.delta),)
        last = event.progress[0] >= event.progress[1]  # then its output tells
        if preview or deltas or (not last and now - run.told >= TELL_SECONDS):
            run.told = now
            self._send(Told(run.claim, *run.totals(), preview, deltas))

    def _preview(
        self, run: Run, index: int, event: Advanced, now: float
    ) -> tuple[int, Artifact] | None:
        last = event.progress[0] >= event.progress[1]
        if event.preview is None or last or now - run.drawn < self._preview_interval:
            return None
        run.drawn = now
        try:
            return index, event.preview()
        except Exception:
            log.exception("preview failed", extra={"job": run.claim.job})
            return None

    def _finished(self, run: Run, index: int, event: Finished) -> None:
        run.active.discard(index)
        run.seconds += event.seconds
        entry, seed = run.model.entry, item_seed(run.seed, index)
        facts = Facts(
            run.claim.record["model"], entry.sha256, run.params.model_dump(mode="json"), seed
        )
        output_format = run.input["output_format"]
        totals = run.totals()
        self._send(Made(run.claim, index, event.artifacts, output_format, facts, *totals))
        if not run.left:
            self.end(run.claim.job, "finished")

    def end(self, job: str, outcome: str, error: Exception | None = None) -> None:
        """Close what still runs of a job and have its end committed; once is enough."""
        run = self._runs.get(job)
        if run is None or run.over:
            return
        self._close(run)
        _, steps = run.totals()
        milliseconds = round(1000 * run.seconds)
        determinism = run.model.proof.determinism
        self._send(Ended(run.claim, outcome, error, milliseconds, determinism, steps))

    def drop(self, job: str, execution: str) -> None:
        """Forget an execution: its end is committed, or it is not ours any more."""
        refused, run = self._refused.get(job), self._runs.get(job)
        if refused and refused.execution == execution:
            del self._refused[job]
        if run and run.claim.execution == execution:
            self._close(run)
            del self._runs[job]

    def _close(self, run: Run) -> None:
        run.over = True
        for index in run.active:
            self._engine.cancel((run.claim.job, index))
        run.active.clear()
