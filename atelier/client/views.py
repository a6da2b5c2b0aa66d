"""Jobs and outputs for both clients: their fields, and the flows of what can be done with them."""

import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

from app.core.text_assembly import ItemTexts, TextChanged
from atelier.client.audio_stream import AudioReader, WavFile
from atelier.client.drivers import AsyncDriver, Driver
from atelier.client.errors import JobCanceled, JobFailed, NotFoundError, Problem, TextChangedError
from atelier.client.flows import Block, Flow, Send, Stream, ValueStream, call, fetch_json, receive
from atelier.client.sse import Event, EventReader

D = TypeVar("D", bound=Driver | AsyncDriver)
T = TypeVar("T")

PATIENCE = 3  # a stream has so many times a call's retries: it outlasts a restart of the service
TERMINAL = frozenset({"completed", "failed", "canceled", "expired"})


@dataclass(frozen=True, slots=True)
class Progress:
    """A job's progress: `value` in [0, 1], and steps summed over its items."""

    value: float
    step: int
    steps: int


class OutputView(Generic[D]):
    """An artifact of a job. `seed` repeats it alone. `data` is its whole record.

    `role` is `picture`, `sheet` (of the items, or of an interpolation), `animation`, `video`,
    `poster`, `audio`, `score`, `text` or `logprobs`. An output of role `text` has a `text`, and
    may have a `title`.
    """

    def __init__(self, client: D, data: dict[str, Any]) -> None:
        self._client = client
        self.data = data
        self.index: int = data["index"]
        self.role: str = data["role"]
        self.sha256: str = data["sha256"]
        self.content_type: str = data["content_type"]
        self.size: int = data["bytes"]
        self.seed: int = data["seed"]
        self.notes: list[str] = data.get("notes") or []
        self.text: str | None = data.get("text")
        self.title: str | None = data.get("title")
        # by its hash, not its URL: the key never goes to another server
        self.path = f"/artifacts/{quote(self.sha256, safe='')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.index} {self.content_type} {self.sha256[:12]}>"

    def _read(self) -> Flow[bytes]:
        response = yield from call(Send("GET", self.path), self._client.max_retries)
        return response.content

    def _save(self, path: str | Path) -> Flow[Path]:
        content = yield from self._read()
        saved: Path = yield Block(partial(write_whole, Path(path), content))
        return saved


class JobView(Generic[D]):
    """A job as of the last response or event. `data` is its whole record."""

    def __init__(self, client: D, data: dict[str, Any]) -> None:
        self._client = client
        self.data = data

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def path(self) -> str:
        return job_path(self.id)

    @property
    def type(self) -> str:
        return str(self.data["type"])

    @property
    def model(self) -> str:
        return str(self.data["model"])

    @property
    def status(self) -> str:
        return str(self.data["status"])

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def progress(self) -> Progress:
        progress = self.data["progress"]
        return Progress(float(progress["value"]), int(progress["step"]), int(progress["steps"]))

    @property
    def seed(self) -> int:
        return int(self.data["seed"])

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.data["metadata"])

    @property
    def error(self) -> Problem | None:
        error = self.data["error"]
        return error and Problem(error["code"], error["message"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status}>"

    def take(self, event: Event) -> None:
        """Updates the job by an event: by a whole job, or by its status and progress."""
        update = event.data
        if update.get("object") == "job":
            self.data = update
            return
        status = update.get("status", self.status)
        progress = {k: update[k] for k in ("value", "step", "steps") if k in update}
        self.data = self.data | {"status": status, "progress": self.data["progress"] | progress}

    def check(self) -> None:
        """Raises JobFailed or JobCanceled for an end without a result."""
        if self.status == "failed":
            raise JobFailed(self)
        if self.status == "canceled":
            raise JobCanceled(self)

    def _fetch(self, method: str, path: str) -> Flow[Self]:
        self.data = yield from fetch_json(Send(method, path), self._client.max_retries)
        return self

    def _delete(self) -> Flow[None]:
        try:
            yield from call(Send("DELETE", self.path), self._client.max_retries)
        except NotFoundError:
            return

    def _events(self, transform: Callable[[Event], Iterable[T]]) -> Stream[T]:
        """Emits what `transform` makes of each event, after the job was updated by the event."""

        def update(event: Event) -> Iterable[T]:
            self.take(event)
            return transform(event)

        yield from receive(
            f"{self.path}/events", EventReader(self._client.max_retries * PATIENCE), update
        )
        if not self.ended:
            yield from self._fetch("GET", self.path)

    def _wait(self) -> ValueStream[Self]:
        if not self.ended:
            yield from self._events(lambda _: ())
        self.check()
        return self

    def _deltas(self, index: int) -> Stream[str]:
        texts = ItemTexts(only=index)
        try:
            yield from self._events(
                lambda event: (text for _, text in texts.take(event.name, event.data))
            )
        except TextChanged:
            raise TextChangedError(self) from None
        self.check()

    def _audio(self, index: int, transform: Callable[[bytes], Iterable[T]]) -> Stream[T]:
        reader = AudioReader(self._client.max_retries * PATIENCE)
        yield from receive(f"{self.path}/audio?index={index}", reader, transform)
        yield from self._fetch("GET", self.path)
        self.check()

    def _listen(self, path: str | Path, index: int) -> ValueStream[Path]:
        with WavFile(Path(path)) as file:

            def write(chunk: bytes) -> tuple[()]:
                file.write(chunk)
                return ()

            yield from self._audio(index, write)
        return file.path


def job_path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def write_whole(path: Path, data: bytes) -> Path:
    """Replaces a file at once: a reader sees all of it or what was there before."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return path
