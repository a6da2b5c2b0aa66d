"""POST /v1/images/generations: pictures, for OpenAI's clients."""

from typing import Any

from fastapi import APIRouter, Response

from app.http.body_parsing import read_json
from app.http.openapi_examples import (
    JOB_ID,
    LOCATION,
    REPLAYED,
    IdempotencyKey,
    Replies,
    errors,
    reply,
)
from app.openai.images.answer import ImageAnswer
from app.openai.images.request import read_request
from app.openai.images.response import ImagesReply
from app.operations.retries import submit_registered
from app.operations.submit import SubmitterDep

router = APIRouter(tags=["openai"])

EXAMPLE: dict[str, Any] = {
    "created": 1790000002,
    "data": [
        {
            "b64_json": "iVBORw0KGgo...",
            "url": None,
            "revised_prompt": None,
            "seed": 1234,
            "role": "picture",
            "notes": [],
        }
    ],
    "output_format": "png",
    "size": "64x64",
    "usage": {
        "queue_ms": 30,
        "compute_ms": 412,
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": 0,
        "total_tokens": 0,
    },
    "job_id": JOB_ID,
}
EVENTS = (
    'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image",'
    '"partial_image_index":0,"b64_json":"iVBORw0KGgo..."}\n\n'
    'event: image_generation.completed\ndata: {"type":"image_generation.completed",'
    '"b64_json":"iVBORw0KGgo..."}\n\n'
)
MADE = reply("The pictures; with `stream`, events.", EXAMPLE, LOCATION | REPLAYED)
MADE["content"]["text/event-stream"] = {"example": EVENTS}
REPLIES: Replies = {
    200: {**MADE, "model": ImagesReply},
    **errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503),
}
REPLIES[400]["description"] = "The body can't be parsed, or the model can't make this size."


@router.post(
    "/v1/images/generations",
    summary="Make pictures, as OpenAI does",
    response_model=ImagesReply,
    responses=REPLIES,
)
async def generate_images(
    submitter: SubmitterDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Makes `n` pictures and answers when they are there; with `stream`, sends events meanwhile.

    Any model of pictures can be named, and takes its own parameters besides OpenAI's. It is a job
    like any other (`Location`, `job_id`). A client that leaves has its job canceled, unless it
    sent an `Idempotency-Key`, or tries again as OpenAI's clients do.
    """
    body, text = await read_json(submitter.request)
    asked, job_request = read_request(submitter.catalog, submitter.settings, body, text)
    accepted, registration = await submit_registered(submitter, job_request, body)
    answer = ImageAnswer(submitter, accepted, registration, asked)
    return await (answer.stream() if asked.stream else answer.whole())
