"""From the engine to the client: encode, store, tell, commit; in a thread of its own.

An artifact is in the store before the job says completed. The queue to this thread is bounded:
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

from app.store import Store, StoreError
from workers.desk import Desk, Ending, Word
from workers.encode import Encoded, encode
from workers.parcel import Parcel, stored_output
from workers.runs import Ended, Made, Message, Told

log = logging.getLogger("atelier.worker")

T = TypeVar("T")
BATCH = 64  # messages delivered together, at most
STORE_TRIES = 5
LONGEST_PAUSE = 2.0  # seconds between two tries


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
        self._parcels: dict[str, Parcel] = {}  # by execution
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
        open_still = True
        while open_still:
            batch = self._next_batch()
            open_still = None not in batch
            self._deliver([message for message in batch if message is not None])

    def _next_batch(self) -> list[Message | None]:
        """All that waits: together it costs one wait for the disk of the server, not one each."""
        batch = [self._messages.get()]
        while not self._messages.empty() and len(batch) < BATCH and batch[-1] is not None:
            batch.append(self._messages.get())
        return batch

    def _deliver(self, batch: list[Message]) -> None:
        self._keep([message for message in batch if isinstance(message, Made)])
        words: list[Word | Ending] = []
        for message in batch:
            parcel = self._parcels.setdefault(message.claim.execution, Parcel())
            match message:
                case Told():
                    words.append(parcel.progress(message))
                case Made():
                    words.append(parcel.output(message))
                case Ended():
                    words.append(parcel.ending(message, self._stamp()))
                    del self._parcels[message.claim.execution]
        if not words:
            return
        heard = until_reached(lambda: self._desk.say(words))
        for word, committed in zip(words, heard, strict=True):
            if isinstance(word, Ending):
                self._settle(word, committed)

    def _keep(self, made: list[Made]) -> None:
        """Store the files of these items. What can't be stored fails its job, when it ends."""
        files: list[tuple[Made, Encoded, str]] = []
        for item in made:
            for artifact in item.artifacts:
                encoded = encode(artifact, item.output_format, item.facts)
                files.append((item, encoded, hashlib.sha256(encoded.data).hexdigest()))
        hashes = [sha256 for _, _, sha256 in files]
        while hashes and not until_reached(lambda: self._desk.hold(hashes)):
            time.sleep(0.05)  # the bytes of one are just being deleted
        for item, encoded, sha256 in files:
            parcel = self._parcels.setdefault(item.claim.execution, Parcel())
            try:
                self._put(encoded.data)
            except StoreError as error:
                log.exception("result not kept", extra={"job": item.claim.job})
                parcel.spoiled = error
            else:
                parcel.stored.append(stored_output(item, encoded, sha256))

    def _put(self, data: bytes) -> None:
        for attempt in range(STORE_TRIES):
            try:
                self._store.put(data)
                return
            except StoreError as error:
                if attempt == STORE_TRIES - 1:
                    raise
                log.warning("store refused", extra={"reason": str(error)})
                time.sleep(min(0.1 * 2**attempt, LONGEST_PAUSE))

    def _settle(self, ending: Ending, committed: bool) -> None:
        facts: dict[str, object] = {"job": ending.claim.job, "compute_ms": ending.compute_ms}
        if ending.error:
            facts["code"] = ending.error.code
        log.info(f"job {ending.outcome}" if committed else "job lost", extra=facts)
        self.settled.put(Settled(ending.claim.job, committed))
        self._ring()


def until_reached(ask: Callable[[], T]) -> T:
    """Ask Redis until it answers: what was made is not thrown away because it is gone."""
    pause = 0.05
    while True:
        try:
            return ask()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            log.warning("redis unreachable", extra={"reason": type(error).__name__})
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
