"""What an archive has in it: the files of jobs by readable names, and `jobs.json`.

Files that have expired are listed in `jobs.json` as missing. A file that the store loses after that
cuts the download short; see `zip_stream`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from app.core.errors import NotFound, Unprocessable
from app.core.job_record import artifact_key
from app.core.schemas import Job, Output
from app.files.downloads import suffix_of
from app.queue.jobs import is_job_id
from app.queue.queue import Queue
from models.modalities import MODALITIES

MOST_FILES = 10_000
CHUNK = 500  # artifacts that Redis is asked for at once
DOCUMENT = "jobs.json"
SAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class ArchiveFile:
    """A stored file and its name in an archive."""

    name: str
    sha256: str
    bytes: int


@dataclass
class ArchiveContents:
    """The files of an archive, and a record of each job that made them."""

    files: list[ArchiveFile] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """Ids of jobs that are gone."""
    missing: int = 0
    """Files that have expired."""

    @property
    def total_bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def document(self) -> bytes:
        """The file `jobs.json`."""
        body = {"jobs": self.jobs, "deleted": self.deleted}
        return json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n"


async def read_new_contents(queue: Queue, owner: str, ids: list[str]) -> ArchiveContents:
    """The contents of an archive that a client asks for.

    Raises NotFound with the number of a job that does not exist, and Unprocessable where an id
    comes twice or there are too many files.
    """
    seen: dict[str, int] = {}
    for number, job_id in enumerate(ids):
        if job_id in seen:
            message = f"jobs.{number} is the same job as jobs.{seen[job_id]}"
            raise Unprocessable(message, param=f"jobs.{number}")
        seen[job_id] = number
        if not is_job_id(job_id):
            raise _unknown(number)
    contents = await read_contents(queue, owner, ids)
    if contents.deleted:
        raise _unknown(seen[contents.deleted[0]])
    return contents


def _unknown(number: int) -> NotFound:
    message = f"jobs.{number}: no such job"
    return NotFound(message, code="job_not_found", param=f"jobs.{number}")


async def read_contents(queue: Queue, owner: str, ids: list[str]) -> ArchiveContents:
    """Raises Unprocessable where there are more than MOST_FILES files."""
    jobs = await queue.fetch_all(owner, ids)
    contents = ArchiveContents(deleted=[i for i, job in zip(ids, jobs, strict=True) if not job])
    hashes = [sha256 for job in jobs if job for sha256 in _hashes_of(job)]
    if len(hashes) > MOST_FILES:
        message = f"an archive has at most {MOST_FILES} files; these jobs have {len(hashes)}"
        raise Unprocessable(message, param="jobs")
    sizes = await _sizes(queue, owner, dict.fromkeys(hashes))
    names: set[str] = {DOCUMENT}
    for job in filter(None, jobs):
        _add(contents, job, sizes, names)
    return contents


def _hashes_of(job: Job) -> Iterable[str]:
    yield from (output.sha256 for output in job.outputs)
    if job.long_input is not None:
        yield job.long_input


async def _sizes(queue: Queue, owner: str, hashes: Iterable[str]) -> dict[str, int]:
    """The bytes of each file that is there and this owner's."""
    sizes, left = {}, iter(hashes)
    while chunk := list(islice(left, CHUNK)):
        async with queue.connection.pipeline(transaction=False) as pipe:
            for sha256 in chunk:
                pipe.hmget(artifact_key(sha256), "bytes", f"owner:{owner}")
            answers = await pipe.execute()
        for sha256, (size, count) in zip(chunk, answers, strict=True):
            if size and int(count or 0) > 0:
                sizes[sha256] = int(size)
    return sizes


def _add(contents: ArchiveContents, job: Job, sizes: dict[str, int], names: set[str]) -> None:
    """Texts are left out of the record, since the files have them."""
    record = job.model_dump(mode="json", exclude={"drafts", "urls", "queue_position"})
    stem = _stem(job)
    for output, shown in zip(job.outputs, record["outputs"], strict=True):
        del shown["url"], shown["text"]
        shown["file"] = None
        if output.sha256 in sizes:
            shown["file"] = _free(f"{stem}-{_label(job, output)}", _suffix(output), names)
            contents.files.append(ArchiveFile(shown["file"], output.sha256, sizes[output.sha256]))
        else:
            contents.missing += 1
    record["input_file"] = None
    if job.long_input in sizes:  # the fields that `omitted` names, as JSON
        record["input_file"] = _free(f"{stem}-input", "json", names)
        file = ArchiveFile(record["input_file"], job.long_input, sizes[job.long_input])
        contents.files.append(file)
    contents.jobs.append(record)


def _stem(job: Job) -> str:
    """Of the names of a job's files: `t2i-emoji-20261130-215959-8r0s1t2v`."""
    created = datetime.fromtimestamp(job.created_at, UTC)
    return f"{SAFE.sub('_', job.model)}-{created:%Y%m%d-%H%M%S}-{job.id[-8:].lower()}"


def _label(job: Job, output: Output) -> str:
    main = MODALITIES[job.type].roles[0] if job.type in MODALITIES else output.role
    return str(output.index) if output.role == main else f"{output.index}-{output.role}"


def _suffix(output: Output) -> str:
    return suffix_of(output.content_type)


def _free(stem: str, suffix: str, names: set[str]) -> str:
    """A name that no file of the archive has yet."""
    name, number = f"{stem}.{suffix}", 2
    while name in names:
        name, number = f"{stem}-{number}.{suffix}", number + 1
    names.add(name)
    return name
