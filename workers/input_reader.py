"""The files that jobs refer to: read and decoded in threads of their own, then handed over.

What a file gives depends on its bytes alone. A job waits for its files without holding up others;
if it is canceled meanwhile, nobody asks for what was read. A store that can't be read fails no job:
whoever asked learns of it, and asks again for as long as the job waits.
"""

import json
import logging
import math
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from app.core.images.image_reader import UnreadableFile, read_picture
from app.core.schemas import ErrorDetail
from app.core.store import Missing
from models.artifacts import Artifact, Image
from models.engine.activity import Activity
from models.engine.flow import Inputs
from models.music.midi import read_midi
from models.params.base import Params, posted_files
from models.params.fields import posted_fields
from models.score import Score, ScoreError
from workers.queue_client import Claim
from workers.retry import pause_after
from workers.timed_store import TimedStore

log = logging.getLogger("atelier.worker")

THREADS = 2  # while one waits for a slow store, the other goes on
KEPT_PIXELS = 2**20  # a larger picture is reduced by a whole number, before a job keeps it


class InputUnusable(Exception):
    """A file that a job refers to can't be used; `detail` is what its client is told."""

    def __init__(self, param: str, code: str, problem: str) -> None:
        kind = "server_error" if code == "internal_error" else "invalid_request_error"
        self.detail = ErrorDetail(message=f"{param} {problem}", type=kind, param=param, code=code)
        super().__init__(self.detail.message)


def no_longer_stored(param: str) -> InputUnusable:
    return InputUnusable(param, "artifact_expired", "is no longer stored")


@dataclass(frozen=True, slots=True)
class Arrived:
    """The files of a job by the names of its params, or why it can't have them.

    A StoreError may pass: `failures` counts those in a row.
    """

    claim: Claim
    params: Params
    inputs: Inputs | Exception
    failures: int

    @property
    def outcome(self) -> Inputs | Exception:
        return self.inputs


@dataclass(frozen=True, slots=True)
class LongFields:
    """The long fields of a job's input, or why it can't have them, as in `Arrived`."""

    claim: Claim
    fields: dict[str, Any] | Exception
    failures: int

    @property
    def outcome(self) -> dict[str, Any] | Exception:
        return self.fields


class InputReader:
    """Reads files for jobs. Asked by one thread, which it tells by `wake`."""

    def __init__(
        self,
        store: TimedStore,
        wake: Callable[[], None],
        activity: Callable[[str], Activity] = lambda _: Activity(),
    ) -> None:
        self._store, self._wake = store, wake
        self._activities = [activity(f"inputs-{i}") for i in range(THREADS)]
        self._asked: queue.SimpleQueue[Callable[[Activity], None] | None] = queue.SimpleQueue()
        self.arrived: queue.SimpleQueue[Arrived | LongFields] = queue.SimpleQueue()

    def start(self) -> None:
        for activity in self._activities:
            work = partial(self._work, activity)
            threading.Thread(target=work, name="inputs", daemon=True).start()

    def read(self, claim: Claim, params: Params) -> None:
        """Have read what these params refer to."""
        self._asked.put(partial(self._read, claim, params, 0))

    def read_long_fields(self, claim: Claim) -> None:
        """Have read what the store keeps of the job's input."""
        self._asked.put(partial(self._read_long_fields, claim, 0))

    def read_again(self, arrived: Arrived | LongFields) -> None:
        """Have read once more, after a pause, what could not be read."""
        failures = arrived.failures + 1
        if isinstance(arrived, LongFields):
            ask = partial(self._read_long_fields, arrived.claim, failures)
        else:
            ask = partial(self._read, arrived.claim, arrived.params, failures)
        timer = threading.Timer(pause_after(failures), self._asked.put, (ask,))
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Read no more; a store that hangs holds up no end."""
        for _ in range(THREADS):
            self._asked.put(None)
        self._store.close()

    def _work(self, activity: Activity) -> None:
        while (asked := self._asked.get()) is not None:
            asked(activity)

    def _read(self, claim: Claim, params: Params, failures: int, activity: Activity) -> None:
        inputs: dict[str, Artifact] = {}
        outcome: Inputs | Exception = inputs
        try:
            kinds = posted_fields(type(params))
            for param, sha256 in posted_files(params).items():
                data = self._bytes(param, sha256)
                with activity.during("reading", (claim.job,)):
                    inputs[param] = self._artifact(param, data, READERS[kinds[param].kind])
        except Exception as error:
            if not failures:
                log.warning("input not read", extra={"job": claim.job, "reason": str(error)})
            outcome = error
        self.arrived.put(Arrived(claim, params, outcome, failures))
        self._wake()

    def _read_long_fields(self, claim: Claim, failures: int, _: Activity) -> None:
        fields: dict[str, Any] | Exception
        try:
            fields = json.loads(self._bytes("input", claim.record["input_sha256"]))
        except Exception as error:
            if not failures:
                log.warning("input not read", extra={"job": claim.job, "reason": str(error)})
            fields = error
        self.arrived.put(LongFields(claim, fields, failures))
        self._wake()

    def _bytes(self, param: str, sha256: str) -> bytes:
        try:
            return self._store.get(sha256)
        except Missing:
            raise no_longer_stored(param) from None

    def _artifact(self, param: str, data: bytes, read: Callable[[bytes], Artifact]) -> Artifact:
        try:
            return read(data)
        except UnreadableFile as error:
            raise InputUnusable(param, "invalid_parameter", str(error)) from None


def picture_of(data: bytes) -> Image:
    """The picture in a file. Raises Unreadable."""
    picture = read_picture(data)
    excess = math.sqrt(picture.width * picture.height / KEPT_PIXELS)
    if excess > 1:
        picture = picture.reduce(math.ceil(excess))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    rows = pixels.view(picture.height, picture.width, -1)  # (H, W, C)
    return Image(rows.permute(2, 0, 1).contiguous().float() / 255)


def score_of(data: bytes) -> Score:
    """The score in a MIDI file. Raises Unreadable."""
    try:
        return read_midi(data)
    except ScoreError as error:
        raise UnreadableFile(f"can't be used: {error}") from None


READERS: Mapping[str, Callable[[bytes], Artifact]] = {"image": picture_of, "audio/midi": score_of}
"""How a file of each kind is read."""
