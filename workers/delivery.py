"""From the engine to the client: encode, store, tell, commit; in a thread of its own.

An artifact is in the store before the job says completed. When too much waits for this thread it
is `behind`: then the engine waits, and only notes of progress are left out. To hand over never
blocks, so that a worker whose Redis is away still obeys signals.
"""

import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from app.store import Store
from models.artifacts import Artifact, Text, values_of
from models.score import Score
from workers.activity import Activity
from workers.desk import AWAY, Desk, Ending, Sounding, Word
from workers.encode import encode
from workers.files import Encoded, Sheet
from workers.messages import Ended, Heard, Made, Message, Told
from workers.parcel import Parcel, describe, failed_ending
from workers.sound_files import chunk_file
from workers.tries import persistently

log = logging.getLogger("atelier.worker")

T = TypeVar("T")
BATCH = 64  # messages delivered together, at most
MESSAGES = 256  # waiting for delivery; from then on the engine waits
SLOWEST = 100_000  # pixels or samples a second that any encoder gets done
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
        self,
        desk: Desk,
        store: Store,
        stamp: Callable[[], str],
        ring: Callable[[], None],
        activity: Activity | None = None,
    ) -> None:
        self._activity = activity or Activity()
        self._desk, self._store, self._stamp, self._ring = desk, store, stamp, ring
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._parcels: dict[str, Parcel] = {}  # by execution
        self.settled: queue.SimpleQueue[Settled] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def behind(self) -> bool:
        """Whether so much waits that nothing more should be made."""
        return self._messages.qsize() >= MESSAGES

    def send(self, message: Message) -> None:
        """Hand a message over. Progress is left out when much waits; nothing else is."""
        if isinstance(message, Told) and not message.deltas:
            room = PREVIEWS if message.preview else MESSAGES // 2
            if self._messages.qsize() > room:
                return
        self._messages.put(message)

    def close(self, grace: float) -> None:
        """Deliver what is queued, then stop; what takes longer than the grace is given up."""
        self._messages.put(None)
        self._thread.join(grace)
        if self._thread.is_alive():
            log.warning("delivery given up", extra={"messages": self._messages.qsize()})

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
            try:
                with self._activity.during("wording", (message.claim.job,)):
                    words += self._worded(message)
            except Exception as error:
                self._spoil(message, error)
                if isinstance(message, Ended):
                    words.append(failed_ending(message, self._stamp(), error))
            if isinstance(message, Ended):
                self._parcels.pop(message.claim.execution, None)
        for word, committed in zip(words, self._say(words), strict=True):
            if isinstance(word, Ending):
                self._settle(word, committed)
        return None not in batch

    def _worded(self, message: Message) -> list[Word | Sounding | Ending]:
        parcel = self._parcels.setdefault(message.claim.execution, Parcel())
        match message:
            case Told():
                return [parcel.progress(message)]
            case Heard():
                return [*parcel.sounding(message)]
            case Made():
                return [parcel.output(message)]
            case Ended():
                return [parcel.ending(message, self._stamp())]

    def _say(self, words: list[Word | Sounding | Ending]) -> list[bool]:
        """Whether each was heard. Where one can't be said, each is said alone, so it fails alone:
        words that are said again change nothing."""
        if not words:
            return []
        try:
            return until_reached(lambda: self._desk.say(words))
        except Exception as error:
            if len(words) > 1:
                return [heard for word in words for heard in self._say([word])]
            (word,) = words
            log.error("a message can't be sent", extra={"job": word.claim.job}, exc_info=error)
            if not isinstance(word, Ending):
                return [False]
            bare = replace(word, outcome="failed", outputs=(), error=describe(RuntimeError()))
            if word == bare:
                raise  # nothing of the job is in it, so the fault is this worker's
            return self._say([bare])

    def _keep(self, made: list[Made | Heard]) -> None:
        """Store the files of these. What can't be stored fails its job, when it ends."""
        files: list[tuple[Made | Heard, Encoded, str]] = []
        for item in made:
            job, limit = item.claim.job, size_of(item) / SLOWEST
            try:
                with self._activity.during("encoding", (job,), limit):
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

    def _spoil(self, item: Message, error: Exception) -> None:
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


def size_of(made: Made | Heard) -> int:
    """Pixels or samples to encode."""
    if isinstance(made, Heard):
        return made.chunk.audio.samples.numel()
    return sum(values_in(artifact) for artifact in made.artifacts)


def values_in(artifact: Artifact | Sheet) -> int:
    """Pixels or samples of an artifact; notes and words are few."""
    if isinstance(artifact, Sheet):
        return sum(picture.pixels.numel() for picture in artifact.pictures)
    few = isinstance(artifact, Score | Text)
    return 0 if few else values_of(artifact).numel()


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
