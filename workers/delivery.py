"""From the engine to the client: encode, store, tell, commit; in a thread of its own.

The artifact is in the store before the job says completed. The queue to this thread is bounded:
when it is full of results the engine waits, and only notes of progress are left out.
"""

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import redis

from app.schemas import ErrorDetail
from app.store import Store, StoreError
from models.artifacts import NotFinite
from workers.desk import Claim, Desk, Ending, Stored
from workers.encode import encode, preview
from workers.engine import is_out_of_memory
from workers.runs import Ended, Made, Message, Told

log = logging.getLogger("atelier.worker")

T = TypeVar("T")
STORE_TRIES = 5
LONGEST_PAUSE = 2.0  # seconds between two tries


class DeadlineExceeded(Exception):
    """The job was not finished before its deadline."""


class ModelUnusable(Exception):
    """The job's model could not be loaded."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A job's end has been committed, or was found to be another's business."""

    job: str
    committed: bool


class Delivery:
    """One thread that owns encoding, the store and the commits."""

    def __init__(
        self, desk: Desk, store: Store, stamp: Callable[[], str], ring: Callable[[], None]
    ) -> None:
        self._desk, self._store, self._stamp, self._ring = desk, store, stamp, ring
        self._messages: queue.Queue[Message | None] = queue.Queue(256)
        self._outputs: dict[str, list[Stored]] = {}  # by execution
        self._spoiled: dict[str, Exception] = {}  # executions whose results can't be kept
        self.settled: queue.SimpleQueue[Settled] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self, message: Message) -> None:
        """Hand a message over. Progress is left out when the queue is full; nothing else is."""
        if isinstance(message, Told) and not message.deltas and self._messages.full():
            return
        self._messages.put(message)

    def close(self, grace: float) -> None:
        """Deliver what is queued, then stop."""
        self._messages.put(None)
        self._thread.join(grace)

    def _work(self) -> None:
        while (message := self._messages.get()) is not None:
            match message:
                case Told():
                    self._tell(message)
                case Made():
                    self._keep(message)
                case Ended():
                    self._settle(message)

    def _tell(self, told: Told) -> None:
        events: list[tuple[str, object]] = []
        job = told.claim.job
        value = told.done / told.steps if told.steps else 0
        facts = {"job_id": job, "status": "in_progress", "step": told.done, "steps": told.steps}
        events.append(("progress", {**facts, "value": round(value, 4)}))
        if told.preview:
            index, artifact = told.preview
            picture = {"job_id": job, "index": index, "url": preview(artifact)}
            events.append(("preview", picture))
        for index, text in told.deltas:
            events.append(("delta", {"job_id": job, "index": index, "text": text}))
        self._until_reached(lambda: self._desk.tell(told.claim, told.done, told.steps, events))

    def _keep(self, made: Made) -> None:
        """Store an item's files. What can't be stored fails the job, when it ends."""
        try:
            stored = [self._store_one(made, artifact) for artifact in made.artifacts]
        except Exception as error:
            log.error("result not kept", extra={"job": made.claim.job}, exc_info=error)
            self._spoiled[made.claim.execution] = error
            return
        self._outputs.setdefault(made.claim.execution, []).extend(stored)
        job = made.claim.job
        events = [("output", {"job_id": job, **s.output, "url": s.url}) for s in stored]
        self._until_reached(lambda: self._desk.tell(made.claim, made.done, made.steps, events))

    def _store_one(self, made: Made, artifact: object) -> Stored:
        encoded = encode(artifact, made.output_format, made.facts)  # type: ignore[arg-type]
        sha256 = self._put(encoded.data)
        output = {
            "index": made.index,
            "sha256": sha256,
            "content_type": encoded.content_type,
            "bytes": len(encoded.data),
            "seed": made.facts.seed,
            "width": encoded.width,
            "height": encoded.height,
        }
        return Stored(output, encoded.content_type)

    def _put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        while not self._until_reached(lambda: self._desk.hold(sha256)):
            time.sleep(0.05)  # its bytes are just being deleted
        for attempt in range(STORE_TRIES):
            try:
                return self._store.put(data)
            except StoreError as error:
                if attempt == STORE_TRIES - 1:
                    raise
                log.warning("store refused", extra={"reason": str(error)})
                time.sleep(min(0.1 * 2**attempt, LONGEST_PAUSE))
        raise AssertionError("unreachable")

    def _settle(self, ended: Ended) -> None:
        execution = ended.claim.execution
        outputs = sorted(self._outputs.pop(execution, []), key=lambda o: o.output["index"])
        error = ended.error or self._spoiled.pop(execution, None)
        outcome = "failed" if error and ended.outcome != "canceled" else ended.outcome
        ending = Ending(
            outcome,
            [] if outcome == "canceled" else outputs,
            describe(error) if error else None,
            ended.compute_ms,
            ended.determinism,
            ended.steps,
        )
        self._commit(ended.claim, ending)

    def _commit(self, claim: Claim, ending: Ending) -> None:
        committed = self._until_reached(lambda: self._desk.commit(claim, ending, self._stamp()))
        word = f"job {ending.outcome}" if committed else "job lost"
        facts = {"job": claim.job, "compute_ms": ending.compute_ms}
        log.info(word, extra=facts if not ending.error else {**facts, "code": ending.error.code})
        self.settled.put(Settled(claim.job, committed))
        self._ring()

    def _until_reached(self, ask: Callable[[], T]) -> T:
        """Ask Redis until it answers: what was made is not thrown away because it is gone."""
        pause = 0.05
        while True:
            try:
                return ask()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                log.warning("redis unreachable", extra={"reason": type(error).__name__})
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


def describe(error: Exception) -> ErrorDetail:
    """What a client may read of an error: its kind, never its text, unless the text is ours."""
    code, message = "internal_error", "the job failed on the server"
    if isinstance(error, DeadlineExceeded):
        code, message = "deadline_exceeded", str(error.__doc__)
    elif isinstance(error, ModelUnusable):
        message = f"the model could not be loaded: {error}"
    elif isinstance(error, NotFinite):
        message = str(error)
    elif isinstance(error, StoreError):
        message = "the result could not be stored"
    elif is_out_of_memory(error):
        code, message = "out_of_memory", "there was not enough memory for this job"
    return ErrorDetail(message=message, type="server_error", code=code)
