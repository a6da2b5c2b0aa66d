"""Words for the OpenAPI document that many routes share: error replies, headers, examples."""

from typing import Annotated, Any

from fastapi import Header

from app.core.schemas import ErrorBody
from models.modalities import MODALITIES, Modality

Replies = dict[int | str, dict[str, Any]]

BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

UPLOAD_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {"file": {"type": "string", "format": "binary", "minLength": 1}},
}


def file_of(content_type: str) -> dict[str, Any]:
    """The content of a reply that is a file of this type. Generators of clients know bytes by
    `application/octet-stream` alone."""
    return {"application/octet-stream": BYTES, content_type: BYTES}


JOB_ID = "job_01K5X9ZQ3J7Q2M4N6P8R0S1T2V"
SHA256 = "ab12" * 16


def ended_job_example(modality: Modality) -> dict[str, Any]:
    """A job of this modality that has made one item."""
    output = {
        "index": 0,
        "role": modality.roles[0],
        "url": f"/artifacts/{SHA256}",
        "sha256": SHA256,
        "seed": 1234,
        **modality.example_output,
    }
    return {
        "id": JOB_ID,
        "object": "job",
        "type": modality.name,
        "model": modality.default_model,
        "status": "completed",
        "input": {
            **modality.example_input,
            "n": 1,
            "seed": 1234,
            "output_format": modality.formats[0],
        },
        "queue_position": None,
        "progress": {"value": 1, "step": 1, "steps": 1},
        "attempt": 1,
        "seed": 1234,
        "created_at": 1790000000,
        "started_at": 1790000001,
        "completed_at": 1790000002,
        "expires_at": 1790086402,
        "outputs": [output],
        "determinism": "bitwise",
        "usage": {"queue_ms": 30, "compute_ms": 412},
        "error": None,
        "metadata": {},
        "urls": {
            "self": f"/jobs/{JOB_ID}",
            "events": f"/jobs/{JOB_ID}/events",
            "cancel": f"/jobs/{JOB_ID}/cancel",
        },
    }


def queued_job_example(modality: Modality) -> dict[str, Any]:
    """The same job as it is accepted."""
    return {
        **ended_job_example(modality),
        "status": "queued",
        "queue_position": 3,
        "progress": {"value": 0, "step": 0, "steps": 0},
        "attempt": 0,
        "started_at": None,
        "completed_at": None,
        "expires_at": None,
        "outputs": [],
        "determinism": None,
        "usage": {"queue_ms": None, "compute_ms": None},
    }


JOB_EXAMPLE = ended_job_example(MODALITIES["image"])

# status: what it means, type, code, message
ERRORS: dict[int, tuple[str, str, str, str]] = {
    400: (
        "The body can't be parsed.",
        "invalid_request_error",
        "invalid_parameter",
        "the body is not valid JSON",
    ),
    401: (
        "No API key, or one that is not known.",
        "authentication_error",
        "invalid_api_key",
        "this API key is not known",
    ),
    403: (
        "The API key lacks the scope that this needs.",
        "permission_error",
        "insufficient_scope",
        "this API key lacks the scope metrics",
    ),
    404: (
        "There is no such thing, or it is another's.",
        "invalid_request_error",
        "job_not_found",
        "no such job",
    ),
    409: (
        "It has ended without what was asked for.",
        "conflict_error",
        "canceled",
        f"{JOB_ID} was canceled",
    ),
    410: (
        "It was here, and its time is over.",
        "invalid_request_error",
        "artifact_expired",
        "this artifact has expired",
    ),
    413: (
        "The body is too large.",
        "invalid_request_error",
        "payload_too_large",
        "the body must have at most 1000000 bytes",
    ),
    415: (
        "The body is of a kind that is not taken here.",
        "invalid_request_error",
        "unsupported_media_type",
        "the body must be JSON, with Content-Type: application/json",
    ),
    416: (
        "The range lies beyond the end.",
        "invalid_request_error",
        "invalid_parameter",
        "the artifact has 2301 bytes",
    ),
    422: (
        "A parameter is missing, unknown or out of range.",
        "invalid_request_error",
        "invalid_parameter",
        "n must be between 1 and 64",
    ),
    429: (
        "Too many jobs are waiting.",
        "rate_limit_error",
        "queue_full",
        "1000 jobs are waiting for this model; try again in 12 s",
    ),
    500: (
        "Something went wrong here.",
        "server_error",
        "internal_error",
        "something went wrong here; it has been logged",
    ),
    503: (
        "The queue, the store or the workers are away.",
        "server_error",
        "queue_unavailable",
        "the queue can't be reached; try again",
    ),
}


def header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


REQUEST_ID = {"x-request-id": header("Names this request in the log.", "req_5f2c9a")}
RETRY_AFTER = {"Retry-After": header("Seconds after which to ask again.", "1")}
ETAG = {"ETag": header("Names this state of it; send it in If-None-Match.", '"9f86d081"')}
NO_RETRY = {"x-should-retry": header("`false`: trying again does not help.", "false")}


def errors(*statuses: int) -> Replies:
    """The error replies of a route, each with an example; 500 is everywhere."""
    return {status: _error(status) for status in (*statuses, 500)}


def _error(status: int) -> dict[str, Any]:
    description, kind, code, message = ERRORS[status]
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    extra = RETRY_AFTER if status in (429, 503) else {} if status == 500 else NO_RETRY
    return {
        "model": ErrorBody,
        "description": description,
        "headers": {**REQUEST_ID, **extra},
        "content": {"application/json": {"example": body}},
    }


def reply(description: str, example: Any, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    """A reply that went well, with its example."""
    return {
        "description": description,
        "headers": {**REQUEST_ID, **(headers or {})},
        "content": {"application/json": {"example": example}},
    }


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key, path and body make one job, however often it is sent.",
        examples=["4b1f7c1e"],
    ),
]
Prefer = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`wait=N` waits up to N seconds, at most 60, for the job's end.",
        examples=["wait=10"],
    ),
]
LOCATION = {
    "Location": header("Where the job is.", f"/jobs/{JOB_ID}"),
    "x-job-id": header("The id of the job.", JOB_ID),
}
REPLAYED = {"Idempotent-Replayed": header("`true`: this key made the job before.", "true")}
APPLIED = {"Preference-Applied": header("The wait that was granted.", "wait=10")}
RANGES = {
    "Accept-Ranges": header("Parts can be asked for, in bytes.", "bytes"),
    "Cache-Control": header("The bytes of a hash never change.", "private, immutable"),
    "Content-Disposition": header("A name to save it under.", 'inline; filename="ab12.png"'),
}
PART = {"Content-Range": header("Which bytes, of how many.", "bytes 0-99/2301")}
DOWNLOAD: Replies = {
    200: {
        "description": "The bytes.",
        "headers": ETAG | RANGES,
        "content": file_of("*/*"),
    },
    206: {
        "description": "The bytes of the range that was asked for.",
        "headers": ETAG | RANGES | PART,
        "content": file_of("*/*"),
    },
    304: {"description": "The client has it.", "headers": ETAG},
    **errors(401, 404, 410, 416, 422, 503),
}
RANGE = {
    "parameters": [
        {
            "name": "Range",
            "in": "header",
            "required": False,
            "description": "One range of bytes.",
            "schema": {"type": "string"},
            "example": "bytes=0-99",
        }
    ]
}
