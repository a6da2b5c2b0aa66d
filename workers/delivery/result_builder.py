"""What one execution of a job has to deliver, gathered until its end; no threads, no Redis."""

import logging
from dataclasses import asdict, dataclass, field
from typing import Any

from app.core.job_record import LONG_TEXT, TEXT_BYTES
from app.core.schemas import ErrorDetail
from app.core.store import StoreError
from models.artifacts import Artifact, Audio, NotFinite
from models.engine.engine import is_out_of_memory
from models.params.base import UnsupportedRequest
from workers.encoders.encode import preview
from workers.encoders.types import Encoded
from workers.input_reader import InputUnusable
from workers.jobs.messages import AudioChunk, DeadlineExceeded, ItemDone, JobDone, JobProgress
from workers.queue_client import AudioChunkStored, JobCommit, ProgressUpdate, Stored

log = logging.getLogger("atelier.worker")

MEASURES = (
    *("width", "height", "frames"),
    *("seconds", "fps", "rate", "channels"),
    *("text", "title", "finish_reason", "stop_sequence", "prompt_tokens", "completion_tokens"),
)


class ModelUnusable(Exception):
    """The job's model could not be loaded."""


@dataclass
class ResultBuilder:
    """The outputs of an execution so far, and how many words were said of it."""

    stored: list[Stored] = field(default_factory=list)
    chunks: dict[tuple[int, int], AudioChunkStored] = field(
        default_factory=dict
    )  # not reported yet
    spoiled: Exception | None = None  # why a result could not be kept
    updates: int = 0

    def keep(self, message: ItemDone | AudioChunk, file: Encoded, sha256: str) -> None:
        """A file of this message is in the store."""
        if isinstance(message, ItemDone):
            self.stored.append(stored_output(message, file, sha256))
            return
        chunk, sound = message.chunk, message.chunk.audio
        form = (sound.rate, sound.samples.shape[0])
        key = (message.index, chunk.number)
        self.chunks[key] = AudioChunkStored(
            message.claim, *key, chunk.last, sha256, len(file.data), form
        )

    def sounding(self, message: AudioChunk) -> list[AudioChunkStored]:
        """The chunk, if it could be stored."""
        sha256 = self.chunks.pop((message.index, message.chunk.number), None)
        return [] if sha256 is None else [sha256]

    def progress(self, message: JobProgress) -> ProgressUpdate:
        """How far it is, with a preview and new text where there are any."""
        job = message.claim.job
        value = round(message.done / message.steps, 4) if message.steps else 0
        facts = {
            "job_id": job,
            "status": "in_progress",
            "step": message.done,
            "steps": message.steps,
        }
        events: list[tuple[str, Any]] = []
        if message.due:
            events.append(("progress", {**facts, "value": value}))
        if message.preview:
            index, artifact = message.preview
            try:
                events.append(("preview", previewed(job, index, artifact, message.output_size)))
            except Exception as error:  # a picture on the way is no reason to fail
                log.warning("preview not drawn", extra={"job": job}, exc_info=error)
        events += [("delta", {"job_id": job, **asdict(delta)}) for delta in message.deltas]
        return self._word(message, events)

    def output(self, message: ItemDone) -> ProgressUpdate:
        """An item is done: its files, as the job will list them."""
        own = [s for s in self.stored if s.output["index"] == message.index]
        job = message.claim.job
        return self._word(
            message, [("output", {"job_id": job, **_public(s), "url": s.url}) for s in own]
        )

    def ending(self, ended: JobDone, stamp: str) -> JobCommit:
        """The commit. What could not be kept makes it a failure."""
        error = ended.error or self.spoiled
        canceled = ended.outcome == "canceled"
        return JobCommit(
            ended.claim,
            "failed" if error and not canceled else ended.outcome,
            stamp,
            [] if canceled else sorted(self.stored, key=lambda s: int(s.output["index"])),
            describe(error) if error else None,
            ended.compute_ms,
            ended.determinism,
            ended.steps,
        )

    def _word(
        self, message: JobProgress | ItemDone, events: list[tuple[str, Any]]
    ) -> ProgressUpdate:
        self.updates += 1
        return ProgressUpdate(message.claim, self.updates, message.done, message.steps, events)


def previewed(
    job: str, index: int, artifact: Artifact, output_size: str | None = None
) -> dict[str, Any]:
    """A picture of an item on its way; of sound, how much there is and where it is heard."""
    data: dict[str, Any] = {"job_id": job, "index": index, "url": preview(artifact, output_size)}
    if isinstance(artifact, Audio):
        data["audio"] = f"/jobs/{job}/audio?index={index}"
        data["seconds"] = round(artifact.samples.shape[1] / artifact.rate, 4)
    return data


def failed_ending(ended: JobDone, stamp: str, error: Exception) -> JobCommit:
    """The commit of a job of which nothing more can be said than that it failed."""
    claim, steps = ended.claim, ended.steps
    return JobCommit(claim, "failed", stamp, [], describe(error), 0, ended.determinism, steps)


def _public(stored: Stored) -> dict[str, Any]:
    """An output as an event tells it; a long text is told in pieces, and with the whole job."""
    return {name: value for name, value in stored.output.items() if name != TEXT_BYTES}


def stored_output(message: ItemDone, encoded: Encoded, sha256: str) -> Stored:
    """A stored file as the job's outputs list it."""
    output: dict[str, Any] = {
        "index": message.index,
        "role": encoded.role,
        "sha256": sha256,
        "content_type": encoded.content_type,
        "bytes": len(encoded.data),
        "seed": message.facts.seed,
    }
    for measure in MEASURES:
        if (value := vars(encoded)[measure]) is not None:
            output[measure] = value
    if encoded.notes:
        output["notes"] = list(encoded.notes)
    if encoded.text is not None and len(encoded.text) > LONG_TEXT:
        text = encoded.text.encode()
        if encoded.data.endswith(text + b"\n"):  # then the file tells it
            del output["text"]
            output[TEXT_BYTES] = len(text)
    return Stored(output, encoded.content_type)


def describe(error: Exception) -> ErrorDetail:
    """What a client may read of an error: its kind, never its text, unless the text is ours."""
    if isinstance(error, InputUnusable):
        return error.detail
    if isinstance(error, UnsupportedRequest):
        kind = "invalid_request_error"
        return ErrorDetail(message=str(error), type=kind, param=error.param, code=error.code)
    code, message = "internal_error", "the job failed on the server"
    if isinstance(error, DeadlineExceeded):
        code, message = "deadline_exceeded", str(error) or str(error.__doc__)
    elif isinstance(error, ModelUnusable):
        message = f"the model could not be loaded: {error}"
    elif isinstance(error, NotFinite):
        message = str(error)
    elif isinstance(error, StoreError):
        message = "the result could not be stored"
    elif is_out_of_memory(error):
        code, message = "out_of_memory", "there was not enough memory for this job"
    return ErrorDetail(message=message, type="server_error", code=code)
