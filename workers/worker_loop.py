"""Where a worker's parts meet: what the queue says, the models at hand, the engine, the delivery.

Everything here runs in the worker's main thread. Other threads hand over by queues and wake.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.core.imports import Imports
from app.core.settings import Settings
from app.core.store import StoreError
from models.engine.engine import Engine
from models.params.base import posted_files
from workers.delivery.delivery import Delivery
from workers.delivery.result_builder import ModelUnusable
from workers.input_reader import Arrived, InputReader, LongFields, no_longer_stored
from workers.jobs.messages import DeadlineExceeded
from workers.jobs.running_jobs import RunningJobs
from workers.model_cache import ModelCache
from workers.model_orders import ModelOrders
from workers.model_queues import ModelQueues
from workers.queue_client import AWAY, Claim, PollResult, QueueCapacity, QueueClient
from workers.wakeup import Wakeup

log = logging.getLogger("atelier.worker")

LOOK_SECONDS = 0.05  # between looks while flows run, unless someone rings: cancels are seen in time
IDLE_SECONDS = 1.0
TURN_LIMIT = 300.0  # of a turn, flows and steps aside: Redis may be slow to answer
CLOSE_SECONDS = 5.0  # for what is still to be delivered when the worker ends


@dataclass(frozen=True)
class Parts:
    """What one worker is put together from."""

    client: QueueClient
    cache: ModelCache
    engine: Engine
    reader: InputReader
    delivery: Delivery
    wakeup: Wakeup


class WorkerLoop:
    """Claims jobs, runs them, and gives them up; knows no rq."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self.wakeup = parts.wakeup
        self._client, self._cache, self._engine = parts.client, parts.cache, parts.engine
        self._reader, self._delivery = parts.reader, parts.delivery
        self._settings = settings
        self._runs = RunningJobs(self._engine, settings, self._delivery.send)
        self._queues = ModelQueues(self._cache, Imports(settings.state))
        self.orders = ModelOrders(self._cache, self._queues)
        self.changed = threading.Event()  # the lease is to say other things of the models
        self._states: dict[str, dict[str, str | int | None]] = {}  # of the models, as last seen
        self._closing: set[str] = set()  # models that take no more jobs, to make room for another
        self._looked = 0.0
        self._since = int(time.time())
        self._redis_problem: str | None = None  # why the last look failed

    @property
    def claims(self) -> list[Claim]:
        return self._runs.claims

    @property
    def loading(self) -> bool:
        """Whether a model is on its way into memory."""
        return bool(self._cache.loading)

    def queue_names(self) -> list[str]:
        return list(self._queues.entries)

    def facts(self) -> dict[str, object]:
        """What the lease tells of this worker."""
        return {
            "device": str(self._cache.device),
            "since": self._since,
            "capacity": self._settings.capacity,
            "memory_limit": self._settings.model_memory,
            "in_flight": self._runs.items,
            "models": self._cache.states(),
            "store_problem": self._delivery.store_problem,
        }

    def turn(self, claiming: bool, stamp: Callable[[], str]) -> None:
        """One look if it is due, one tick if anything waits for one."""
        self._engine.activity.enter("turn", limit=TURN_LIMIT)
        if pause := self._pause():
            self.wakeup.wait(pause)
            self.look(stamp(), claiming)
        elif self.wakeup.wait(0) or time.monotonic() - self._looked > LOOK_SECONDS:
            self.look(stamp(), claiming)
        if self._delivery.behind:
            return
        self._runs.sort(self._engine.tick())
        self._runs.admit()

    def _pause(self) -> float:
        """Seconds until the next look, unless something rings: none while there is work to do."""
        if self._runs.running and not self._delivery.behind:
            return 0.0
        return LOOK_SECONDS if self._runs.unfinished else IDLE_SECONDS

    def look(self, stamp: str, claiming: bool = True) -> None:
        """Ask the queue, and do what it says. While Redis is away, what runs runs on."""
        self._looked = time.monotonic()
        self._engine.activity.enter("look", limit=TURN_LIMIT)
        self._collect()
        self._queues.refresh()
        room = self._settings.capacity - self._runs.rows_taken()
        self._obey_store()
        if not claiming or self._runs.alone or not self._delivery.takes_more:
            room = 0
        try:
            share = self._runs.share_of_rows()
            look = self._client.look(self._runs.claims, room, self._rooms(), stamp, share)
        except AWAY as error:
            self._note_redis(type(error).__name__)
            return
        self._note_redis(None)
        self._runs.follow(look.followed)
        self._runs.shares.shared = look.shared
        self._obey(look)
        if room > 0:  # else nobody was asked what is wanted
            self._make_room(look.wanted)
        if claiming:
            self.orders.obey(look.orders, self._runs.busy())
        self._note_models()
        if not self._delivery.behind:
            self._runs.admit()

    def _note_models(self) -> None:
        """Have the lease renewed as soon as models come or go, or orders have been carried out."""
        states = self._cache.states()
        if states != self._states or self.orders.done:
            self._states = states
            self.changed.set()

    def _note_redis(self, problem: str | None) -> None:
        """Log when Redis goes or comes back, and not at every look meanwhile."""
        if problem == self._redis_problem:
            return
        self._redis_problem = problem
        if problem is None:
            log.info("redis answers again")
        else:
            log.warning("redis unreachable", extra={"reason": problem})

    def _obey_store(self) -> None:
        """While the store can't be written, jobs that have not begun go back to the queue."""
        if self._delivery.store_problem is not None:
            self._put_back(self._runs.not_begun)

    def _collect(self) -> None:
        for model in self._cache.collect():
            for run, seconds in model.proof.seconds.items():
                self._engine.learn(run, seconds)
        while not self._reader.arrived.empty():
            arrived = self._reader.arrived.get()
            if isinstance(arrived.outcome, StoreError):
                self._read_again(arrived)
            elif isinstance(arrived, LongFields):
                self._complete(arrived)
            else:
                self._runs.supply(arrived.claim, arrived.inputs)
        while not self._delivery.settled.empty():
            settled = self._delivery.settled.get()
            self._runs.drop(settled.job, settled.execution)

    def _rooms(self) -> list[QueueCapacity]:
        """The queues to read, and for how many rows each."""
        rooms = []
        for queue, entry in self._queues.entries.items():
            sha256 = entry.sha256
            if refusal := self._cache.refused.get(sha256):
                if refusal.final:
                    rooms.append(QueueCapacity(queue, True, 1))  # so that they fail with the reason
            elif sha256 in self._cache.loaded and sha256 not in self._closing | self.orders.leaving:
                rooms.append(self._room_of(queue, sha256))
            elif sha256 not in self._cache.loaded and sha256 not in self._cache.loading:
                rooms.append(QueueCapacity(queue, False, 1))
        return rooms + [QueueCapacity(queue, True, 1) for queue in self._queues.failed_imports()]

    def _room_of(self, queue: str, sha256: str) -> QueueCapacity:
        model = self._cache.loaded[sha256]
        family = model.family
        spare = self._settings.run_memory - self._runs.bytes_taken()
        fits = max(spare // max(family.item_bytes, 1), 0 if self._runs.unfinished else 1)
        rows = int(min(family.max_items - self._runs.items_of(sha256), fits))
        return QueueCapacity(queue, True, rows, self._runs.share_of_model(model))

    def _obey(self, look: PollResult) -> None:
        for job, verdict in look.verdicts.items():
            if verdict == "deadline":
                self._runs.end(job, "failed", DeadlineExceeded())
            else:  # lost: the commit will find out, and nothing is written
                self._runs.end(job, "canceled")
        for claim in look.claims:
            self._start(claim)

    def _make_room(self, wanted: list[str]) -> None:
        """Load what is wanted; models in its way take no more jobs until it is there."""
        self._closing = set()
        for queue in wanted:
            self._closing |= self._cache.want(self._queues.entries[queue], self._runs.busy())

    def _read_again(self, arrived: Arrived | LongFields) -> None:
        """The store could not be read: try later, unless the job is over by now."""
        if self._runs.awaits(arrived.claim):
            self._delivery.check_store()
            self._reader.read_again(arrived)

    def _complete(self, long: LongFields) -> None:
        """Start a job whose long fields have been read; it may be over by now."""
        claim = long.claim
        if not self._runs.stop_awaiting(claim):
            return
        if isinstance(long.fields, Exception):
            self._runs.refuse(claim, long.fields)
            return
        try:
            whole = json.dumps({**json.loads(claim.record["input"]), **long.fields})
        except (ValueError, TypeError) as error:
            log.error("job unreadable", extra={"job": claim.job}, exc_info=error)
            self._runs.refuse(claim, error)
            return
        record = {k: v for k, v in claim.record.items() if k not in ("input_sha256", "input_long")}
        self._start(replace(claim, record=record | {"input": whole}))

    def _start(self, claim: Claim) -> None:
        sha256 = self._queues.checkpoint_of(claim)
        model = self._cache.loaded.get(sha256)
        if model is None:
            self._runs.refuse(claim, ModelUnusable(self._queues.why_unusable(claim, sha256)))
            return
        if "input_sha256" in claim.record:
            self._runs.await_input(claim, sha256)
            self._reader.read_long_fields(claim)
            return
        if "input_long" in claim.record:  # `rq requeue` of a job whose time is over
            self._runs.refuse(claim, no_longer_stored("input"))
            return
        try:
            params = self._runs.start(claim, model)
        except Exception as error:
            log.error("job unreadable", extra={"job": claim.job}, exc_info=error)
            self._runs.refuse(claim, error)
            return
        if posted_files(params):
            self._reader.read(claim, params)

    def release(self) -> None:
        """Put what is not finished back for others."""
        self._engine.activity.enter("release", limit=TURN_LIMIT)
        self._put_back(self._runs.unfinished)

    def _put_back(self, claims: list[Claim]) -> None:
        if claims:
            attempt_release(self._client, claims)
        for claim in claims:
            log.info("job put back", extra={"job": claim.job})
            self._runs.drop(claim.job, claim.execution)

    def close(self, broken: bool) -> None:
        """Deliver what is done, give back what could not be, then stop the other threads.

        What a broken worker held is left to the reaper: one of these jobs may have broken it.
        """
        self._engine.activity.rest()
        self._reader.close()
        self._delivery.close(CLOSE_SECONDS)
        self._collect()
        if not broken and (claims := self._runs.claims):
            attempt_release(self._client, claims)
        self._cache.close()


def attempt_release(client: QueueClient, claims: list[Claim]) -> None:
    """Put jobs back; if that can't be said now, the reaper will."""
    try:
        client.release(claims)
    except AWAY as error:
        log.warning("jobs left to the reaper", extra={"reason": type(error).__name__})
