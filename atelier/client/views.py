"""What a job looks like, however it was fetched: its record, and the names of its parts."""

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from atelier.client.errors import JobCanceled, JobFailed, Problem
from atelier.client.sse import Event

PATIENCE = 3  # who follows a job sits out a restart of the service, who calls is told sooner
TERMINAL = frozenset({"completed", "failed", "canceled", "expired"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: value in [0, 1], and steps summed over its items."""

    value: float
    step: int
    steps: int


class OutputView:
    """An artifact of a job; its seed, asked for alone, repeats it. `data` is all that is known.

    Its role is `picture`, `sheet` (of the items, or of a walk), `animation`, `audio`, `score`,
    `text` (then `text` and `title` are what was written) or `logprobs`.
    """

    def __init__(self, data: dict[str, Any]) -> None:
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


class JobView:
    """A job as it was last heard of. `data` is all that the service says of it."""

    def __init__(self, data: dict[str, Any]) -> None:
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
        given = self.data["progress"]
        return Progress(float(given["value"]), int(given["step"]), int(given["steps"]))

    @property
    def seed(self) -> int:
        return int(self.data["seed"])

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.data["metadata"])

    @property
    def error(self) -> Problem | None:
        given = self.data["error"]
        return given and Problem(given["code"], given["message"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status}>"

    def take(self, event: Event) -> None:
        """What an event tells: the whole job, or that it is in another state, or further."""
        told = event.data
        if told.get("object") == "job":
            self.data = told
            return
        status = told.get("status", self.status)
        progress = {k: told[k] for k in ("value", "step", "steps") if k in told}
        self.data = self.data | {"status": status, "progress": self.data["progress"] | progress}

    def check(self) -> None:
        """Raises JobFailed or JobCanceled for an end without a result."""
        if self.status == "failed":
            raise JobFailed(self)
        if self.status == "canceled":
            raise JobCanceled(self)


def job_path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def left(until: float) -> float:
    """Seconds until then. Raises TimeoutError if there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def write_whole(path: Path, data: bytes) -> Path:
    """A reader of `path` sees all of it or what was there before, even if this is killed."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path
