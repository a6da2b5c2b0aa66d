"""What Redis holds of a job, and how a client sees it: key names, the hash, and the public Job.

`rq:job:<id>` is RQ's own hash with fields of ours beside it. RQ's `status` is the only truth about
where a job stands; the public status follows from it, so that the two can't disagree:

| RQ status                      | public status |
|--------------------------------|---------------|
| queued, never started          | queued        |
| queued, started before         | in_progress   |
| started                        | in_progress   |
| started, cancel asked          | canceling     |
| finished                       | completed     |
| finished, artifacts swept      | expired       |
| failed                         | failed        |
| canceled, stopped              | canceled      |
"""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from app.core.schemas import ErrorDetail, Job, JobUrls, Output, Progress, Status, TextDraft, Usage

log = logging.getLogger(__name__)

WORK = "atelier:work"  # pub/sub: there is something new for workers
WAKE = "atelier:wake"  # pub/sub: the job of this id has a new event; the stream is the truth

SUSPENDED = "rq:suspended"  # RQ's key that is there while no worker shall take jobs (`rq suspend`)
COUNTERS = "atelier:counters"  # hash: `unreadable`, how many keys and records were set aside
REPORTS = "atelier:reports"  # list of JSON: what was set aside and why, until a worker logs it

url_prefix: ContextVar[str] = ContextVar("url_prefix", default="")
"""Begins every URL that this request's client is sent: the path where a proxy serves us."""

LONG_TEXT = 2000  # characters that a record or a listing holds of one text; no prompt is as long
TEXT_BYTES = "text_bytes"  # of a stored output: its text is so many bytes, before the last newline

SHA256_LETTERS = 64  # a checkpoint that is being imported has a word instead

DRAFT = "draft:"  # begins the fields that hold the text so far, by item and page

ENDED: dict[str, Status] = {"failed": "failed", "canceled": "canceled", "stopped": "canceled"}

Hash = Mapping[str, str]


def job_key(job_id: str) -> str:
    return f"rq:job:{job_id}"


def events_key(job_id: str) -> str:
    return f"atelier:events:{job_id}"


def sound_key(job_id: str) -> str:
    """Hash of what can be heard of a job: `<item>/<number>` the SHA-256 of a chunk of samples,
    `<item>/form` their rate and channels, and `<item>/chunks` how many there are, once it is known.
    """
    return f"atelier:sound:{job_id}"


def artifact_key(sha256: str) -> str:
    """Hash of a stored artifact: content_type, bytes, and `owner:<name>` counts of references."""
    return f"atelier:artifact:{sha256}"


def thumbnails_key(sha256: str) -> str:
    """Hash of an artifact's thumbnails: by width, the SHA-256 and the bytes of each, as `sha/n`."""
    return f"atelier:thumbnails:{sha256}"


def archive_key(owner: str, archive: str) -> str:
    """The ids of the jobs of an archive, as JSON."""
    return f"atelier:archive:{owner}:{archive}"


def queue_name(model: str, sha256: str) -> str:
    """One queue a checkpoint: a job pins the bytes of its model, and only their holders read it."""
    return f"model:{model}@{sha256[:12]}"


def index_key(owner: str, job_type: str = "", status: str = "") -> str:
    """Sorted set of job ids (by time, as they sort): all of an owner's, or of a type and status."""
    return f"atelier:jobs:{owner}:{job_type}:{status}" if status else f"atelier:jobs:{owner}"


def public_status(record: Hash) -> Status:
    """The status a client sees, by the table above."""
    status = record["status"]
    if status == "finished":
        return "expired" if record.get("expired") else "completed"
    if status in ENDED:
        return ENDED[status]
    if status == "started" and record.get("cancel_requested"):
        return "canceling"
    return "in_progress" if status == "started" or int(record["attempt"]) else "queued"


def public_job(job_id: str, record: Hash, position: int | None = None) -> Job:
    """The job as a client sees it; one that can't be read has failed."""
    try:
        return _readable_job(job_id, record, position)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        log.error("record unreadable", extra={"job": job_id, "reason": reason})
        return _unreadable_job(job_id, record)


def _unreadable_job(job_id: str, record: Hash) -> Job:
    """What is certain of a job whose record holds something else than it should."""
    job_type = record.get("type", "")
    message = "the job's record can't be read"
    return Job(
        id=job_id,
        type=job_type,
        model=record.get("model", ""),
        status="failed",
        input={},
        progress=Progress(value=0, step=0, steps=0),
        attempt=0,
        seed=0,
        created_at=0,
        error=ErrorDetail(message=message, type="server_error", code="internal_error"),
        urls=job_urls(job_id, job_type),
    )


def _readable_job(job_id: str, record: Hash, position: int | None) -> Job:
    status = public_status(record)
    outputs = json.loads(record.get("outputs") or "[]")
    long_texts = {i: int(o.pop(TEXT_BYTES)) for i, o in enumerate(outputs) if TEXT_BYTES in o}
    error = record.get("error")
    return Job(
        id=job_id,
        type=record["type"],
        model=record["model"],
        status=status,
        input=json.loads(record["input"]),
        queue_position=position if status == "queued" else None,
        progress=_progress(record, done=status in ("completed", "expired")),
        attempt=int(record["attempt"]),
        seed=int(record["seed"]),
        created_at=int(float(record["created"])),
        started_at=_seconds(record.get("started")),
        completed_at=_seconds(record.get("ended")),
        expires_at=_seconds(record.get("expires")),
        outputs=[_output(o) for o in outputs],
        drafts=_drafts(record),
        determinism=record.get("determinism") or None,  # type: ignore[arg-type]
        checkpoint=_checkpoint(record),
        version=record.get("version"),
        usage=_usage(record),
        error=ErrorDetail.model_validate_json(error) if error else None,
        metadata=json.loads(record.get("metadata") or "{}"),
        omitted=[
            *(f"input.{name}" for name in json.loads(record.get("input_long") or "[]")),
            *(f"outputs.{number}.text" for number in long_texts),
        ],
        urls=job_urls(job_id, record["type"]),
    ).keeping(record.get("input_sha256"), long_texts)


def job_urls(job_id: str, job_type: str) -> JobUrls:
    own = f"{url_prefix.get()}/jobs/{job_id}"
    audio = f"{own}/audio" if job_type == "audio" else None
    return JobUrls(self=own, events=f"{own}/events", cancel=f"{own}/cancel", audio=audio)


def _output(stored: dict[str, Any]) -> Output:
    return Output(url=f"{url_prefix.get()}/artifacts/{stored['sha256']}", **stored)


def _drafts(record: Hash) -> list[TextDraft]:
    """Of each item that is being written, in order."""
    items = {int(name.split(":")[1]) for name in record if name.startswith(DRAFT)}
    return [TextDraft(index=index, text=draft_of(index, record)) for index in sorted(items)]


def draft_of(index: int, record: Hash) -> str:
    """What readers were told of an item's text; empty if nothing was."""
    pages = sorted(name for name in record if name.startswith(f"{DRAFT}{index}:"))
    return "".join(record[name] for name in pages)


def _progress(record: Hash, done: bool) -> Progress:
    step, steps = (int(x) for x in (record.get("progress") or "0/0").split("/"))
    if done:
        return Progress(value=1, step=steps, steps=steps)
    return Progress(value=step / steps if steps else 0, step=step, steps=steps)


def _checkpoint(record: Hash) -> str | None:
    sha256 = record.get("sha256", "")
    return sha256 if len(sha256) == SHA256_LETTERS else None


def _usage(record: Hash) -> Usage:
    waited, compute = record.get("waited"), record.get("compute_ms")
    milliseconds = round(1000 * float(waited)) if waited else None
    return Usage(queue_ms=milliseconds, compute_ms=int(compute) if compute else None)


def _seconds(stamp: str | None) -> int | None:
    return int(float(stamp)) if stamp else None
