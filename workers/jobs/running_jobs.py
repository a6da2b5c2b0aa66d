"""Jobs in flight: their items go into the engine as room allows, and its events come back.

No Redis and no threads here: claims go in, and messages for delivery come out.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch

from app.core.settings import Settings
from models.engine.engine import Advanced, Engine, Event, Failed, Finished
from models.engine.flow import NOTHING, Inputs
from models.families import FAMILIES
from models.params.base import Params, UnsupportedRequest, posted_files
from workers.jobs.item_reporter import ItemReporter
from workers.jobs.messages import JobDone, Message
from workers.jobs.owner_shares import OwnerShares
from workers.jobs.running_job import ItemLimits, RunningJob
from workers.model_cache import Loaded
from workers.queue_client import Claim, Share

log = logging.getLogger("atelier.worker")

ENVELOPE = {"n", "seed", "output_format", "output_size", "grid"}
"""Fields of any request; the rest is its family's."""


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A claimed job whose input is being read, and the checkpoint that it needs."""

    claim: Claim
    sha256: str


class RunningJobs:
    """All jobs in flight. A job leaves once its end is committed, or it was lost."""

    def __init__(self, engine: Engine, settings: Settings, send: Callable[[Message], None]) -> None:
        self._engine, self._send = engine, send
        self._limits = ItemLimits(settings.capacity, settings.run_memory)
        self.shares = OwnerShares(self._limits)
        self._reporter = ItemReporter(send, settings.preview_interval)
        self._runs: dict[str, RunningJob] = {}
        self._refused: dict[str, Claim] = {}
        self._awaiting: dict[str, Awaiting] = {}

    @property
    def claims(self) -> list[Claim]:
        """Every job that is ours, those whose end is not committed yet included. Other threads ask
        as well, so each dictionary is copied at once."""
        runs = [run.claim for run in list(self._runs.values())]
        awaiting = [x.claim for x in list(self._awaiting.values())]
        return [*runs, *list(self._refused.values()), *awaiting]

    def __len__(self) -> int:
        return len(self._runs) + len(self._refused) + len(self._awaiting)

    @property
    def unfinished(self) -> list[Claim]:
        runs = [run.claim for run in self._runs.values() if not run.over]
        return [*runs, *(x.claim for x in self._awaiting.values())]

    @property
    def not_begun(self) -> list[Claim]:
        """Jobs of which the engine has had nothing yet."""
        runs = [run for run in self._runs.values() if not run.over and not run.started]
        return [*(run.claim for run in runs), *(x.claim for x in self._awaiting.values())]

    @property
    def running(self) -> bool:
        """Whether the engine has anything to step."""
        return len(self._engine) > 0

    @property
    def alone(self) -> bool:
        waiting = any("alone" in x.claim.record for x in self._awaiting.values())
        return waiting or any(run.alone for run in self._runs.values())

    @property
    def items(self) -> int:
        """Items that run now."""
        return len(self._engine)

    def items_of(self, sha256: str) -> int:
        """Seats of one model that its jobs in flight have, or will soon."""
        runs = [r for r in self._runs.values() if r.model.entry.sha256 == sha256]
        awaiting = [x for x in self._awaiting.values() if x.sha256 == sha256]
        seats = runs[0].model.family.max_items if runs else 0
        taken = self.shares.taken(runs, seats, lambda run, items: items)
        return sum(taken.values()) + len(awaiting)

    def rows_taken(self) -> int:
        """Rows that the jobs in flight have, or will soon."""
        shares, runs = self.shares, self._runs.values()
        taken = shares.taken(runs, self._limits.capacity, shares.rows)
        return sum(taken.values()) + len(self._awaiting)

    def share_of_rows(self) -> Share:
        return self.shares.share_of_rows(self._runs.values())

    def share_of_model(self, model: Loaded) -> Share:
        runs, family = [run for run in self._runs.values() if not run.over], model.family
        item = max(family.item_bytes, 1)
        return self.shares.share_of_model(runs, model.entry.sha256, family.max_items, item)

    def bytes_taken(self) -> int:
        """Memory that the jobs in flight may take, weights aside."""
        runs = [run for run in self._runs.values() if not run.over]
        return sum(self.shares.taken(runs, self._limits.memory, RunningJob.memory).values())

    def busy(self) -> set[str]:
        """Models with jobs in flight, by sha256."""
        running = {run.model.entry.sha256 for run in self._runs.values() if not run.over}
        return running | {x.sha256 for x in self._awaiting.values()}

    def start(self, claim: Claim, model: Loaded) -> Params:
        """Take a claimed job in; one that refers to files begins when they are supplied.

        Raises whatever is wrong with a record that should not be there.
        """
        record = json.loads(claim.record["input"])
        kind = FAMILIES[model.entry.header.family].params
        items, seed = int(claim.record["items"]), int(claim.record["seed"])
        params = kind.model_validate({k: v for k, v in record.items() if k not in ENVELOPE})
        inputs = None if posted_files(params) else NOTHING
        run = RunningJob(claim, model, params, record, items, seed, inputs)
        log.info("job started", extra={"job": claim.job, "attempt": claim.record["attempt"]})
        self._runs[claim.job] = run
        return params

    def await_input(self, claim: Claim, sha256: str) -> None:
        """A claimed job of this checkpoint whose input is being read; it counts as one item."""
        self._awaiting[claim.job] = Awaiting(claim, sha256)

    def stop_awaiting(self, claim: Claim) -> bool:
        """Whether this execution still waited for its input."""
        awaiting = self._awaiting.get(claim.job)
        if awaiting is None or awaiting.claim.execution != claim.execution:
            return False
        del self._awaiting[claim.job]
        return True

    def supply(self, claim: Claim, inputs: Inputs | Exception) -> None:
        """The files that a job refers to, or why it can't have them; it may be over by now."""
        run = self._runs.get(claim.job)
        if run is None or run.claim.execution != claim.execution:
            return
        if isinstance(inputs, Exception):
            self.end(claim.job, "failed", inputs)
            return
        with self._blaming(run):
            run.supply(inputs)

    def awaits(self, claim: Claim) -> bool:
        """Whether this execution still waits for what it needs from the store."""
        if awaiting := self._awaiting.get(claim.job):
            return awaiting.claim.execution == claim.execution
        run = self._runs.get(claim.job)
        if run is None or run.claim.execution != claim.execution:
            return False
        return not run.over and run.inputs is None

    def follow(self, jobs: Collection[str]) -> None:
        """Render previews, and sound on its way, for these jobs and no others."""
        for run in self._runs.values():
            run.followed = run.claim.job in jobs

    def refuse(self, claim: Claim, error: Exception) -> None:
        """A claimed job that can't even begin fails."""
        self._refused[claim.job] = claim
        self._send(JobDone(claim, "failed", error, 0, "", 0))

    def admit(self) -> None:
        """Give items to the engine as room allows, and to no job more than its share: jobs of
        which nothing has begun first, the oldest of them foremost.

        What the first waits for is kept for it: else small items would starve a large one.
        """
        for run in sorted(self._runs.values(), key=lambda run: run.started > 0):
            while run.waiting and self._may_have(run):
                if not self._fits(run):
                    return
                self._begin(run)

    def _may_have(self, run: RunningJob) -> bool:
        """Whether its model has a slot for one more item of this job, and of its owner."""
        active = [r for r in self._runs.values() if r.active]
        here = sum(len(r.active) for r in active if r.model is run.model)
        free = here < run.model.family.max_items and len(run.active) < run.most(self._limits)
        return free and self.shares.may_begin(run, active)

    def _fits(self, run: RunningJob) -> bool:
        active = [r for r in self._runs.values() if r.active]
        rows = sum(len(r.active) * r.weight(self._limits.capacity) for r in active)
        taken = sum(r.memory(len(r.active)) for r in active)
        small = rows + run.weight(self._limits.capacity) <= self._limits.capacity
        return not active or (small and taken + run.memory(1) <= self._limits.memory)

    def _begin(self, run: RunningJob) -> None:
        index = run.started
        run.started += 1
        run.active.add(index)
        run.model.used = time.monotonic()
        with self._blaming(run, index):
            with self._engine.activity.during("begin", ((run.claim.job, index),)):
                flow = run.flow(index)
            self.sort(self._engine.add((run.claim.job, index), flow))

    def sort(self, events: list[Event]) -> None:
        """Send on what a tick of the engine brought."""
        for event in events:
            job, index = cast(tuple[str, int], event.id)
            run = self._runs.get(job)
            if run is None or run.over:
                continue
            with self._blaming(run, index):
                self._sort(run, index, event)

    def _sort(self, run: RunningJob, index: int, event: Event) -> None:
        match event:
            case Advanced():
                self._reporter.advanced(run, index, event)
            case Finished():
                self._finished(run, index, event)
            case Failed():
                self._fail(run, index, event.error)

    @contextmanager
    def _blaming(self, run: RunningJob, index: int = 0) -> Iterator[None]:
        """Any error within fails this job alone; only a lost device ends the worker."""
        try:
            yield
        except torch.AcceleratorError:
            raise
        except (Exception, SystemExit) as error:
            self._fail(run, index, error)

    def _fail(self, run: RunningJob, index: int, error: BaseException) -> None:
        ours = not isinstance(error, UnsupportedRequest)  # else its client is to blame
        facts = {"job": run.claim.job, "item": index}
        log.warning("item failed", extra=facts, exc_info=error if ours else None)
        failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
        self.end(run.claim.job, "failed", failure)

    def _finished(self, run: RunningJob, index: int, event: Finished) -> None:
        run.active.discard(index)
        run.seconds += event.seconds
        self._reporter.finished(run, index, event)
        if not run.left:
            self._reporter.sheet(run)
            self.end(run.claim.job, "finished")

    def end(self, job: str, outcome: str, error: Exception | None = None) -> None:
        """Close what still runs of a job and have its end committed; once is enough, but that a
        cancel or a deadline goes before an end whose results still wait for the store."""
        if awaiting := self._awaiting.pop(job, None):
            self._refused[job] = awaiting.claim
            self._send(JobDone(awaiting.claim, outcome, error, 0, "", 0))
            return
        run = self._runs.get(job)
        if run is None or run.withdrawn:
            return
        instead = run.over
        self._close(run)
        _, steps = run.totals()
        ended = JobDone(
            *(run.claim, outcome, error, round(1000 * run.seconds)),
            *(run.model.determinism_in(run.input["output_format"]), steps),
            instead=instead,
        )
        if ended.at_once or not instead:
            run.withdrawn = ended.at_once
            self._send(ended)

    def drop(self, job: str, execution: str) -> None:
        """Forget an execution: its end is committed, or it is not ours any more."""
        refused, run = self._refused.get(job), self._runs.get(job)
        if refused and refused.execution == execution:
            del self._refused[job]
        if run and run.claim.execution == execution:
            self._close(run)
            del self._runs[job]
        awaiting = self._awaiting.get(job)
        if awaiting and awaiting.claim.execution == execution:
            del self._awaiting[job]

    def _close(self, run: RunningJob) -> None:
        run.over = True
        for index in run.active:
            self._engine.cancel((run.claim.job, index))
        run.active.clear()
