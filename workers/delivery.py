"""From the engine to the client: encode, store, tell, commit; in a thread of its own.

An artifact is in the store before the job says completed. The queue to this thread is bounded:
when it is full of results the engine waits, and only notes of progress are left out.
"""

import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from app.store import Store
from workers.desk import AWAY, Desk, Ending, Sounding, Word
from workers.encode import encode
from workers.files import Encoded
from workers.messages import Ended, Heard, Made, Message, Told
from workers.parcel import Parcel
from workers.sound_files import chunk_file
from workers.tries import persistently

log = logging.getLogger("atelier.worker")

T = TypeVar("T")
BATCH = 64  # messages delivered together, at most
MESSAGES = 256  # waiting for delivery, at most
PREVIEWS = 16  # waiting when another comes, at most: each holds a picture, or a whole sound
FAILED = 70  # exit status of a worker that can't go on
LONGEST_PAUSE = 2.0  # seconds between two tries


@dataclass(frozen=True, slots=True)
class Settled:
    """A job's end has been committed, or was found to be another's business."""

    job: str
    execution: str
    committed: bool


class Delivery:
    """One thread that owns encoding, the store and the commits."""

    def __init__(
        self, desk: Desk, store: Store, stamp: Callable[[], str], ring: Callable[[], None]
    ) -> None:
        self._desk, self._store, self._stamp, self._ring = desk, store, stamp, ring
        self._messages: queue.Queue[Message | None] = queue.Queue(MESSAGES)
        self._parcels: dict[str, Parcel] = {}  # by execution
        self.settled: queue.SimpleQueue[Settled] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self, message: Message) -> None:
        """Hand a message over. Progress is left out when the queue is full; nothing else is."""
        if isinstance(message, Told) and not message.deltas:
            room = PREVIEWS if message.preview else MESSAGES // 2
            if self._messages.qsize() > room:
                return
        self._messages.put(message)

    def close(self, grace: float) -> None:
        """Deliver what is queued, then stop; what takes longer than the grace is given up."""
        with suppress(queue.Full):
            self._messages.put(None, timeout=grace)
            self._thread.join(grace)

    def _work(self) -> None:
        try:
            while self._deliver(self._next_batch()):
                pass
        except Exception:
            log.critical("delivery failed; the worker ends itself", exc_info=True)
            os._exit(FAILED)  # a worker that can't deliver must not go on claiming

    def _next_batch(self) -> list[Message | None]:
        """All that waits: together it costs one wait for the disk of the server, not one each."""
        batch = [self._messages.get()]
        while not self._messages.empty() and len(batch) < BATCH and batch[-1] is not None:
            batch.append(self._messages.get())
        return batch

    def _deliver(self, batch: list[Message | None]) -> bool:
        """Deliver a batch. False once it holds the end of all."""
        self._keep([message for message in batch if isinstance(message, Made | Heard)])
        words: list[Word | Sounding | Ending] = []
        for message in [message for message in batch if message is not None]:
            parcel = self._parcels.setdefault(message.claim.execution, Parcel())
            match message:
                case Told():
                    words.append(parcel.progress(message))
                case Heard():
                    words += parcel.sounding(message)
                case Made():
                    words.append(parcel.output(message))
                case Ended():
                    words.append(parcel.ending(message, self._stamp()))
                    del self._parcels[message.claim.execution]
        heard = until_reached(lambda: self._desk.say(words)) if words else []
        for word, committed in zip(words, heard, strict=True):
            if isinstance(word, Ending):
                self._settle(word, committed)
        return None not in batch

    def _keep(self, made: list[Made | Heard]) -> None:
        """Store the files of these. What can't be stored fails its job, when it ends."""
        files: list[tuple[Made | Heard, Encoded, str]] = []
        for item in made:
            try:
                encodings = encoded(item)
            except Exception as error:
                self._spoil(item, error)
            else:
                files += [(item, e, hashlib.sha256(e.data).hexdigest()) for e in encodings]
        hashes = [sha256 for _, _, sha256 in files]
        while hashes and not until_reached(lambda: self._desk.hold(hashes)):
            time.sleep(0.05)  # the bytes of one are just being deleted
        for item, file, sha256 in files:
            try:
                persistently(partial(self._store.put, file.data))
            except Exception as error:
                self._spoil(item, error)
            else:
                self._parcels.setdefault(item.claim.execution, Parcel()).keep(item, file, sha256)

    def _spoil(self, item: Made | Heard, error: Exception) -> None:
        log.error("result not kept", extra={"job": item.claim.job}, exc_info=error)
        self._parcels.setdefault(item.claim.execution, Parcel()).spoiled = error

    def _settle(self, ending: Ending, committed: bool) -> None:
        facts: dict[str, object] = {"job": ending.claim.job, "compute_ms": ending.compute_ms}
        if ending.error:
            facts["code"] = ending.error.code
        log.info(f"job {ending.outcome}" if committed else "job lost", extra=facts)
        self.settled.put(Settled(ending.claim.job, ending.claim.execution, committed))
        self._ring()


def encoded(made: Made | Heard) -> list[Encoded]:
    """The files of an item, or a chunk of its sound."""
    if isinstance(made, Heard):
        return [chunk_file(made.chunk.audio)]
    return [f for a in made.artifacts for f in encode(a, made.output_format, made.facts)]


def until_reached(ask: Callable[[], T]) -> T:
    """Ask Redis until it answers: what was made is not thrown away because it is gone."""
    pause = 0.05
    while True:
        try:
            return ask()
        except AWAY as error:
            log.warning("redis unreachable", extra={"reason": type(error).__name__})
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
