"""What the jobs in flight send to delivery: how far they are, what is heard, what was made, and
their ends."""

from dataclasses import dataclass

from models.artifacts import Artifact
from workers.encoders.types import Facts, Sheet
from workers.jobs.audio_chunks import Chunk
from workers.jobs.text_deltas import Delta
from workers.queue_client import Claim


class DeadlineExceeded(Exception):
    """The job was not finished before its deadline."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """A job's progress, if that is due, and perhaps a picture of an item so far, or more text."""

    claim: Claim
    done: int
    steps: int
    preview: tuple[int, Artifact] | None = None
    deltas: tuple[Delta, ...] = ()
    due: bool = True
    output_size: str | None = None  # that a preview is shown in


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """The next chunk of an item's sound is there."""

    claim: Claim
    index: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class ItemDone:
    """An item is done, or the sheet of all: its artifacts, and what to write into their files."""

    claim: Claim
    index: int
    artifacts: tuple[Artifact | Sheet, ...]
    output_format: str
    facts: Facts
    done: int
    steps: int


@dataclass(frozen=True, slots=True)
class JobDone:
    """No item of the job runs any more. An error, if it ended in one."""

    claim: Claim
    outcome: str  # finished, failed or canceled
    error: Exception | None
    compute_ms: int
    determinism: str
    steps: int
    instead: bool = False  # of an end that was sent before, if its results still wait

    @property
    def at_once(self) -> bool:
        """Whether it waits for no results: nobody wants them any more, or it is too late."""
        return self.outcome == "canceled" or isinstance(self.error, DeadlineExceeded)


@dataclass(frozen=True, slots=True)
class FilesStored:
    """Files have come into the store, or never will: messages that waited for them may go on."""


Message = JobProgress | AudioChunk | ItemDone | JobDone
