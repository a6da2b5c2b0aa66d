"""From the engine to the client: encode, have stored, tell, commit; in a thread of its own.

An artifact is in the store before the job says completed. While the store can't be written,
results wait here and their jobs stay in progress; a cancel or a deadline ends them at once.

When too much waits for this thread it is `behind`: then the engine waits, and only notes of
progress are left out. To hand over never blocks, so that a worker whose Redis is away still obeys
signals.
"""

import hashlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from models.artifacts import Artifact, Image, Text, Video, values_of
from models.engine.activity import Activity
from models.score import Score
from workers.delivery.backlog import Backlog, BacklogItem
from workers.delivery.result_builder import ResultBuilder, describe, failed_ending
from workers.delivery.store_writer import File, StoreWriter
from workers.encoders.audio import chunk_file
from workers.encoders.encode import encode
from workers.encoders.resize import read_size
from workers.encoders.types import Encoded, Facts, Sheet
from workers.jobs.messages import (
    AudioChunk,
    DeadlineExceeded,
    FilesStored,
    ItemDone,
    JobDone,
    JobProgress,
    Message,
)
from workers.queue_client import AudioChunkStored, JobCommit, ProgressUpdate, QueueClient
from workers.retry import until_reached

log = logging.getLogger("atelier.worker")

BATCH = 64  # messages delivered together, at most
MESSAGES = 256  # waiting for delivery; from then on the engine waits
SLOWEST = 100_000  # pixels or samples a second that any encoder gets done
PREVIEWS = 16  # waiting when another comes, at most: each holds a picture, or a whole sound
FAILED = 70  # exit status of a worker that can't go on


@dataclass(frozen=True, slots=True)
class Settled:
    """A job's end has been committed, or was found to be another's business."""

    job: str
    execution: str
    committed: bool


class Delivery:
    """One thread that owns encoding and the commits."""

    def __init__(
        self,
        client: QueueClient,
        writer: StoreWriter,
        stamp: Callable[[], str],
        wake: Callable[[], None],
        activity: Activity | None = None,
    ) -> None:
        self._activity = activity or Activity()
        self._client, self._writer, self._stamp, self._wake = client, writer, stamp, wake
        self._messages: queue.SimpleQueue[Message | FilesStored | None] = queue.SimpleQueue()
        self._builders: dict[str, ResultBuilder] = {}  # by execution
        self._backlog = Backlog()
        self._closing = False
        self.settled: queue.SimpleQueue[Settled] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)

    def start(self) -> None:
        self._writer.start(lambda: self._messages.put(FilesStored()))
        self._thread.start()

    @property
    def behind(self) -> bool:
        """Whether so much waits that nothing more should be made."""
        return self._messages.qsize() + len(self._backlog) >= MESSAGES

    @property
    def takes_more(self) -> bool:
        """Whether more jobs should be claimed."""
        return not self.behind and self.store_problem is None

    @property
    def store_problem(self) -> str | None:
        """Why the store can't be written, while it can't: results are kept, and wait."""
        return self._writer.problem

    def check_store(self) -> None:
        """A read of the store has failed: have tried whether it can be written."""
        self._writer.check()

    def send(self, message: Message) -> None:
        """Hand a message over. Progress is left out when much waits; nothing else is."""
        if isinstance(message, JobProgress) and not message.deltas:
            room = PREVIEWS if message.preview else MESSAGES // 2
            if self._messages.qsize() > room:
                return
        self._messages.put(message)

    def close(self, grace: float) -> None:
        """Deliver what is queued, then stop; what takes longer than the grace is given up."""
        self._messages.put(None)
        self._thread.join(grace)
        self._writer.close()
        if self._thread.is_alive():
            log.warning("delivery given up", extra={"messages": self._messages.qsize()})

    def _work(self) -> None:
        try:
            while self._deliver(self._next_batch()):
                pass
        except Exception:
            log.critical("delivery failed; the worker ends itself", exc_info=True)
            os._exit(FAILED)  # a worker that can't deliver must not go on claiming

    def _next_batch(self) -> list[Message | FilesStored | None]:
        """All that waits: together it costs one wait for the disk of the server, not one each."""
        batch = [self._messages.get()]
        while not self._messages.empty() and len(batch) < BATCH and batch[-1] is not None:
            batch.append(self._messages.get())
        return batch

    def _deliver(self, batch: list[Message | FilesStored | None]) -> bool:
        """Deliver a batch. False when all is delivered and there will be no more."""
        updates: list[ProgressUpdate | AudioChunkStored | JobCommit] = []
        files: list[File] = []
        for message in batch:
            if message is None:
                self._closing = True
            elif not isinstance(message, FilesStored):
                entry = self._received(message)
                if entry is not None and (entry.files or self._waits(message)):
                    self._backlog.add(entry)
                    files += [file for _, file in entry.files]
                elif entry is not None:
                    updates += self._worded(entry)
        self._writer.write(files)
        for entry in self._backlog.take_done():
            updates += self._worded(entry)
        for update, committed in zip(updates, self._say(updates), strict=True):
            if isinstance(update, JobCommit):
                self._settle(update, committed)
        return not self._closing or len(self._backlog) > 0

    def _waits(self, message: Message) -> bool:
        """Whether earlier messages of the same execution wait."""
        return self._backlog.holds(message.claim.execution)

    def _received(self, message: Message) -> BacklogItem | None:
        """The message with its files made, or nothing where it has no place any more."""
        match message:
            case JobProgress() if self._waits(message) and self._writer.problem:
                kept = replace(message, preview=None, due=False)
                return BacklogItem(kept, ()) if message.deltas else None
            case JobDone(at_once=True):
                waited = self._backlog.drop(message.claim.execution)
                if message.instead and not waited:
                    return None  # the end that was sent before has been committed
                return BacklogItem(self._explained(message) if waited else message, ())
            case ItemDone() | AudioChunk():
                return BacklogItem(message, self._files(message))
        return BacklogItem(message, ())

    def _explained(self, ended: JobDone) -> JobDone:
        """An end that came while results waited, with the reason why they did."""
        problem = self._writer.problem
        if problem is None or not isinstance(ended.error, DeadlineExceeded):
            return ended
        why = f"the job was not finished before its deadline: the store can't be written: {problem}"
        return replace(ended, error=DeadlineExceeded(why))

    def _files(self, item: ItemDone | AudioChunk) -> list[tuple[Encoded, File]]:
        """The files of an item. What can't be encoded fails its job, when it ends."""
        limit = size_of(item) / SLOWEST
        try:
            with self._activity.during("encoding", (item.claim.job,), limit):
                encodings = encoded(item)
        except Exception as error:
            self._spoil(item, error)
            return []
        return [(e, File(e.data, hashlib.sha256(e.data).hexdigest())) for e in encodings]

    def _worded(self, entry: BacklogItem) -> list[ProgressUpdate | AudioChunkStored | JobCommit]:
        """What is said of a message whose files are in the store."""
        message = entry.message
        try:
            with self._activity.during("wording", (message.claim.job,)):
                self._keep(entry)
                return self._updates(message)
        except Exception as error:
            self._spoil(message, error)
            if isinstance(message, JobDone):
                return [failed_ending(message, self._stamp(), error)]
            return []
        finally:
            if isinstance(message, JobDone):
                self._builders.pop(message.claim.execution, None)

    def _keep(self, entry: BacklogItem) -> None:
        message = entry.message
        for item, file in entry.files:
            if file.error:
                self._spoil(message, file.error)
            elif isinstance(message, ItemDone | AudioChunk):
                builder = self._builders.setdefault(message.claim.execution, ResultBuilder())
                builder.keep(message, item, file.sha256)

    def _updates(self, message: Message) -> list[ProgressUpdate | AudioChunkStored | JobCommit]:
        builder = self._builders.setdefault(message.claim.execution, ResultBuilder())
        match message:
            case JobProgress():
                return [builder.progress(message)]
            case AudioChunk():
                return [*builder.sounding(message)]
            case ItemDone():
                return [builder.output(message)]
            case JobDone():
                return [builder.ending(message, self._stamp())]

    def _say(self, updates: list[ProgressUpdate | AudioChunkStored | JobCommit]) -> list[bool]:
        """Whether each was heard. Where one can't be said, each is said alone, so it fails alone:
        words that are said again change nothing."""
        if not updates:
            return []
        try:
            return until_reached(lambda: self._client.say(updates))
        except Exception as error:
            if len(updates) > 1:
                return [result for update in updates for result in self._say([update])]
            (update,) = updates
            log.error("a message can't be sent", extra={"job": update.claim.job}, exc_info=error)
            if not isinstance(update, JobCommit):
                return [False]
            bare = replace(update, outcome="failed", outputs=(), error=describe(RuntimeError()))
            if update == bare:
                raise  # nothing of the job is in it, so the fault is this worker's
            return self._say([bare])

    def _spoil(self, item: Message, error: Exception) -> None:
        log.error("result not kept", extra={"job": item.claim.job}, exc_info=error)
        self._builders.setdefault(item.claim.execution, ResultBuilder()).spoiled = error

    def _settle(self, ending: JobCommit, committed: bool) -> None:
        facts: dict[str, object] = {"job": ending.claim.job, "compute_ms": ending.compute_ms}
        if ending.error:
            facts["code"] = ending.error.code
        log.info(f"job {ending.outcome}" if committed else "job lost", extra=facts)
        self.settled.put(Settled(ending.claim.job, ending.claim.execution, committed))
        self._wake()


def encoded(message: ItemDone | AudioChunk) -> list[Encoded]:
    """The files of an item, or a chunk of its sound."""
    if isinstance(message, AudioChunk):
        return [chunk_file(message.chunk.audio)]
    return [f for a in message.artifacts for f in encode(a, message.output_format, message.facts)]


def size_of(message: ItemDone | AudioChunk) -> int:
    """Pixels or samples to encode."""
    if isinstance(message, AudioChunk):
        return message.chunk.audio.samples.numel()
    own = sum(values_in(artifact) for artifact in message.artifacts)
    return max(own, sum(resized_values(a, message.facts) for a in message.artifacts))


def resized_values(artifact: Artifact | Sheet, facts: Facts) -> int:
    """Pixels of an artifact in the size that was asked for; 0 if none was."""
    if facts.output_size is None or not isinstance(artifact, Image | Video):
        return 0
    width, height = read_size(facts.output_size)
    frames = len(artifact.pixels) if isinstance(artifact, Video) else 1
    return 3 * width * height * frames


def values_in(artifact: Artifact | Sheet) -> int:
    """Pixels or samples of an artifact; notes and words are few."""
    if isinstance(artifact, Sheet):
        return sum(picture.pixels.numel() for picture in artifact.pictures)
    few = isinstance(artifact, Score | Text)
    return 0 if few else values_of(artifact).numel()
