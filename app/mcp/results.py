"""What a tool answers: a job and its results, in the protocol's content blocks."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from mcp_types import (
    CallToolResult,
    ContentBlock,
    ImageContent,
    ResourceLink,
    TextContent,
)
from starlette.requests import Request

from app.core.schemas import TERMINAL, ErrorBody, Job, ModelCard, Output
from app.core.store import Missing
from app.files.artifact_store import ArtifactStore
from app.files.uploads import SUFFIXES

SCHEME = "atelier://artifacts/"
"""What the URI of an artifact begins with, before its SHA-256."""
LARGEST_PICTURE = 2**18
"""Bytes of a picture that is returned inline."""
MOST_INLINE = 3 * 2**18
"""Bytes of all pictures of an answer that are returned inline."""


def error_result(error: ErrorBody) -> CallToolResult:
    """Returns an error of the service, in the shape that every route has."""
    return CallToolResult(
        content=[TextContent(text=error.error.message)],
        structured_content=error.model_dump(),
        is_error=True,
    )


async def job_result(job: Job, store: ArtifactStore, request: Request) -> CallToolResult:
    """Returns how a job stands, with links to its files, its texts and its small pictures."""
    content: list[ContentBlock] = [TextContent(text=summary(job))]
    inline = 0
    for output in job.outputs:
        if output.text is not None:
            content.append(TextContent(text=_titled(output)))
        picture = await _small_picture(output, store, MOST_INLINE - inline)
        if picture is not None:
            inline += len(picture)
            data = base64.b64encode(picture).decode()
            content.append(ImageContent(data=data, mime_type=output.content_type))
        content.append(link(output))
    if job.status not in TERMINAL:
        content += [TextContent(text=draft.text) for draft in job.drafts if draft.text]
    failed = job.status in ("failed", "canceled", "expired")
    return CallToolResult(
        content=content,
        structured_content=with_addresses(job, request),
        is_error=failed,
        _meta={"job_id": job.id},
    )


def summary(job: Job) -> str:
    """Returns a line on how a job stands."""
    if job.error is not None:
        return f"{job.id} failed: {job.error.message}"
    if job.status in TERMINAL:
        notes = sorted({note for output in job.outputs for note in output.notes})
        said = f" Notes: {'; '.join(notes)}." if notes else ""
        return f"{job.id} is {job.status}: {job.model}, seed {job.seed}.{said}"
    return f"{progress_line(job)}. Call job_status with job_id {job.id} for its results."


def progress_line(job: Job) -> str:
    """Returns what a job does now."""
    if job.status == "queued":
        position = "" if job.queue_position is None else f", {job.queue_position} jobs before it"
        return f"{job.id} is queued{position}"
    progress = job.progress
    steps = f": step {progress.step} of {progress.steps}" if progress.steps else ""
    return f"{job.id} is {job.status}{steps}"


def link(output: Output) -> ResourceLink:
    """Returns a link to a file of a job."""
    suffix = SUFFIXES.get(output.content_type, "bin")
    return ResourceLink(
        name=f"{output.role}-{output.index}.{suffix}",
        uri=f"{SCHEME}{output.sha256}",
        description=f"The {output.role} of item {output.index}, seed {output.seed}.",
        mime_type=output.content_type,
        size=output.bytes,
    )


def with_addresses(job: Job, request: Request) -> dict[str, Any]:
    """Returns a job as JSON, its URLs whole."""
    root = f"{request.url.scheme}://{request.url.netloc}"
    body = job.model_dump(mode="json", exclude_none=True)
    for output in body["outputs"]:
        output["url"] = f"{root}{output['url']}"
    body["urls"] = {name: f"{root}{path}" for name, path in body["urls"].items()}
    return body


def jobs_result(jobs: Sequence[Job], request: Request) -> CallToolResult:
    """Returns a list of jobs."""
    lines = [f"{job.type}: {summary(job)}" for job in jobs] or ["There are no jobs."]
    return CallToolResult(
        content=[TextContent(text="\n".join(lines))],
        structured_content={"jobs": [with_addresses(job, request) for job in jobs]},
    )


def models_result(cards: Sequence[ModelCard]) -> CallToolResult:
    """Returns the models' cards, without what `tools/list` says of their params."""
    shown = {
        "id", "modality", "title", "description", "limitations", "state", "labels",
        "attributes", "samplers", "licence",
    }  # fmt: skip
    models = [card.model_dump(mode="json", include=shown) for card in cards]
    return CallToolResult(
        content=[TextContent(text=json.dumps(models, ensure_ascii=False))],
        structured_content={"models": models},
    )


def _titled(output: Output) -> str:
    return f"{output.title}\n\n{output.text}" if output.title else str(output.text)


async def _small_picture(output: Output, store: ArtifactStore, room: int) -> bytes | None:
    if not output.content_type.startswith("image/"):
        return None
    if output.bytes > min(room, LARGEST_PICTURE):
        return None
    try:
        return await store.get(output.sha256)
    except Missing:
        return None
