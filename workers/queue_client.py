"""A worker's side of the queue in Redis: look, tell, commit, release, and bury the dead.

Every word here is one script of `workers/lua`, atomic and fenced by the execution that claimed the
job. Nothing here knows rq, torch or threads; each thread has a client of its own.
"""

import json
import logging
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import redis

from app.core.job_record import REPORTS
from app.core.schemas import ErrorDetail
from app.core.scripts import Scripts
from app.core.settings import Settings
from app.core.version import VERSION

log = logging.getLogger("atelier.worker")

SCAN = "atelier:scan"  # the last hash that was compared with the store, or SCANNED
SCANNED = "end"
FOLLOWED = "followed"  # a job goes on, and someone follows it
LUA = Path(__file__).parent / "lua"
# The server is not there, or says that it can't write now (`ServerAway`): what is asked again later
# may well succeed.
AWAY = (redis.ConnectionError, redis.TimeoutError)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker owns, for as long as the record names this execution."""

    job: str
    execution: str
    record: dict[str, str]


@dataclass(frozen=True, slots=True)
class Share:
    """The rows that one owner may take of some room while others are about: the most of all, and
    what is left of that to those with jobs in flight."""

    most: int
    left: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QueueCapacity:
    """A queue this worker could read: whether its model is ready, and for how many rows."""

    queue: str
    ready: bool
    rows: int
    share: Share | None = None


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one look at the queue told."""

    verdicts: dict[str, str]  # job -> lost, cancel or deadline
    claims: list[Claim]
    wanted: list[str]  # queues whose models should be loaded
    shared: bool = False  # whether several owners have posted jobs of late
    followed: frozenset[str] = frozenset()  # jobs that someone follows
    orders: Mapping[str, str] = field(default_factory=dict)  # to load or unload a model, by sha256


@dataclass(frozen=True, slots=True)
class Stored:
    """An artifact that lies in the store, as the job's outputs tell it."""

    output: dict[str, Any]
    content_type: str

    @property
    def url(self) -> str:
        return f"/artifacts/{self.output['sha256']}"

    @property
    def reference(self) -> tuple[str, str, int]:
        return self.output["sha256"], self.content_type, self.output["bytes"]


@dataclass(frozen=True, slots=True)
class ProgressUpdate:
    """How far a job is, and events for those who follow it; numbered within its execution."""

    claim: Claim
    number: int
    done: int
    steps: int
    events: Sequence[tuple[str, Any]] = ()

    def call(self) -> tuple[str, list[Any]]:
        flat = [text for name, data in self.events for text in (name, json.dumps(data))]
        claim = self.claim
        return "progress", [claim.job, claim.execution, self.number, self.done, self.steps, *flat]


@dataclass(frozen=True, slots=True)
class AudioChunkStored:
    """A chunk of an item's sound that lies in the store, for those who listen."""

    claim: Claim
    index: int
    number: int
    last: bool
    sha256: str
    bytes: int
    form: tuple[int, int]  # samples a second, channels

    def call(self) -> tuple[str, list[Any]]:
        position = [self.index, self.number, int(self.last)]
        own = [self.claim.job, self.claim.execution]
        return "sound", [*own, *position, self.sha256, self.bytes, *self.form]


@dataclass(frozen=True, slots=True)
class JobCommit:
    """How a job ends, in RQ's words: the commit."""

    claim: Claim
    outcome: str  # finished, failed or canceled
    stamp: str  # now, as RQ writes it
    outputs: Sequence[Stored] = ()
    error: ErrorDetail | None = None
    compute_ms: int = 0
    determinism: str = ""
    steps: int = 0

    def call(self) -> tuple[str, list[Any]]:
        outputs = json.dumps([stored.output for stored in self.outputs])
        error = self.error.model_dump_json() if self.error else ""
        args: list[Any] = [self.claim.job, self.claim.execution, self.outcome, outputs, error]
        args += [
            self.compute_ms,
            self.determinism,
            f"{self.steps}/{self.steps}",
            self.stamp,
            VERSION,
        ]
        for stored in self.outputs:
            args += stored.reference
        return "finish", args


class QueueClient:
    """Scripts over one blocking connection, in the name of one worker."""

    def __init__(self, connection: "redis.Redis", worker: str, settings: Settings) -> None:
        self._redis, self._worker, self._settings = connection, worker, settings
        self._renewed = False
        self._own = Scripts(connection, LUA)
        self._shared = Scripts(connection)

    def look(
        self,
        owned: Sequence[Claim],
        room: int,
        rooms: Sequence[QueueCapacity],
        stamp: str,
        share: Share | None = None,
    ) -> PollResult:
        """What became of the jobs in flight, and which to start; one call to the server."""
        args: list[Any] = [self._worker, secrets.token_hex(8), room]
        args += [self._settings.max_affinity_wait, stamp, _shares(share, rooms), len(owned)]
        for claim in owned:
            args += [claim.job, claim.execution]
        for capacity in rooms:
            args += [capacity.queue, "ready" if capacity.ready else "unloaded", capacity.rows]
        verdicts, claims, wanted, shared, orders = self._own.run("tick", *args)
        followed = frozenset(job for job, word in verdicts if word == FOLLOWED)
        return PollResult(
            {job: word for job, word in verdicts if word != FOLLOWED},
            [Claim(job, execution, json.loads(record)) for job, execution, record in claims],
            list(wanted),
            bool(shared),
            followed,
            dict(zip(orders[::2], orders[1::2], strict=True)),
        )

    def hold(self, hashes: Sequence[str]) -> bool:
        """Keep the sweep away from bytes that are about to be stored. False: ask again soon."""
        seconds = self._settings.orphan_ttl + self._settings.job_deadline  # until the commit
        return bool(self._shared.run("hold", seconds, *hashes))

    def say(self, updates: Sequence["ProgressUpdate | AudioChunkStored | JobCommit"]) -> list[bool]:
        """Notes of progress, of sound and of ends of jobs, in order and one round trip.

        False for each that was not heard: the job is not this execution's any more. Said again
        because an answer was lost, they change nothing.
        """
        answers = self._own.run_all([update.call() for update in updates])
        for answer in answers:
            if isinstance(answer, AWAY):
                raise answer
            if isinstance(answer, Exception):
                log.error("a record can't be written", extra={"reason": str(answer)})
        return [answer in (1, "done") for answer in answers]

    def wants(self, claim: Claim) -> bool:
        """Whether anybody still wants what this execution makes."""
        return bool(self._own.run("wanted", claim.job, claim.execution))

    def release(self, claims: Sequence[Claim]) -> None:
        """Put jobs back at the front of their queues, in order, uncharged."""
        flat = [text for claim in claims for text in (claim.job, claim.execution)]
        self._own.run("release", self._worker, *flat)

    def renew(self, facts: dict[str, Any], done: Mapping[str, str] = MappingProxyType({})) -> None:
        """A sign of life: the lease, with what this worker holds, and the orders that it shows as
        carried out."""
        settings, arrived = self._settings, int(not self._renewed)
        times = (settings.lease, settings.longest_note, arrived)
        flat = [text for pair in done.items() for text in pair]
        self._own.run("renew", self._worker, json.dumps(facts), *times, *flat)
        self._renewed = True

    def resign(self) -> None:
        """The last word. Jobs still held are given back by the reaper."""
        self._own.run("resign", self._worker)

    def lead(self) -> bool:
        """Whether it is this worker's turn to bury the dead and sweep; a short lock decides."""
        return bool(self._own.run("lead", self._settings.sweep_interval))

    def reap(self) -> list[tuple[str, str, str]]:
        """Give back what dead workers held: (worker, job, fate) each."""
        return [(worker, job, fate) for worker, job, fate in self._own.run("reap")]

    def reports(self) -> list[dict[str, str]]:
        """Keys and records that scripts have set aside since the last call: `key`, `reason`."""
        texts: Any = self._redis.lpop(REPORTS, 100)
        return [json.loads(text) for text in texts or ()]

    def sweep(self) -> list[str]:
        """End what time has ended. Returns hashes whose bytes may be deleted, if `doom` agrees."""
        settings = self._settings
        return list(self._own.run("sweep", 100, settings.orphan_ttl, settings.record_ttl))

    def scan_position(self) -> str | None:
        """The hash after which to list the store next, or None for a while after the last."""
        cursor: Any = self._redis.get(SCAN)
        return None if cursor == SCANNED else str(cursor or "")

    def note_scan(self, last: str | None) -> None:
        """The store has been listed up to this hash, or to its end."""
        pause = math.ceil(self._settings.orphan_ttl)
        self._redis.set(SCAN, last or SCANNED, ex=86_400 if last else pause)

    def adopt(self, hashes: Sequence[str]) -> int:
        """Offer for deletion those of these files that Redis doesn't know; how many they are."""
        return int(self._own.run("adopt", *hashes))

    def doom(self, sha256: str, word: str) -> bool:
        """Begin to delete these bytes, if nothing refers to them by now; then done or failed."""
        return bool(self._own.run("doom", sha256, word))


def _shares(share: Share | None, rooms: Sequence[QueueCapacity]) -> str:
    queues = {room.queue: asdict(room.share) for room in rooms if room.share}
    return json.dumps({**(asdict(share) if share else {}), "queues": queues})
