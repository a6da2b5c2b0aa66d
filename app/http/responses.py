"""Makes replies of what is already a model: JSON once, with an ETag where it can be asked for."""

import hashlib

from fastapi import Request, Response
from pydantic import BaseModel

from app.core.schemas import TERMINAL, Job

LOOK_AGAIN = "1"  # seconds, while a job is active


def json_reply(
    body: BaseModel, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(body.model_dump_json(), status, headers, media_type="application/json")


def job_reply(job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_reply(job, status, {**job_header(job), **_retry_after(job), **(headers or {})})


def job_reply_if_changed(request: Request, job: Job) -> Response:
    """The job with its ETag, or 304 where the client has it as it is."""
    text = job.model_dump_json().encode()
    tag = f'"{hashlib.blake2b(text, digest_size=16).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    headers |= job_header(job) | _retry_after(job)
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(text, 200, headers, media_type="application/json")


def accepted_headers(job: Job, replayed: bool) -> dict[str, str]:
    """What an answer to a request for a job says of the job: where it is, and its id."""
    headers = {"Location": job.urls.self, **job_header(job)}
    return {**headers, "Idempotent-Replayed": "true"} if replayed else headers


def job_header(job: Job) -> dict[str, str]:
    return {"x-job-id": job.id}


def matches(condition: str | None, tag: str) -> bool:
    """Whether an If-None-Match header names this tag, compared weakly (RFC 9110, 13.1.2)."""
    if condition is None:
        return False
    named = [tag_named.strip().removeprefix("W/") for tag_named in condition.split(",")]
    return tag in named or "*" in named


def _retry_after(job: Job) -> dict[str, str]:
    return {} if job.status in TERMINAL else {"Retry-After": LOOK_AGAIN}
