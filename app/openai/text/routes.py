"""POST /v1/chat/completions and /v1/completions: text, for OpenAI's clients."""

import logging
from typing import Any

import redis
from fastapi import APIRouter, Response

from app.core.errors import AtelierError
from app.core.store import StoreError
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
from app.openai.text.answer import InChat, InCompletion, TextAnswer
from app.openai.text.batch_answer import SeveralAnswers
from app.openai.text.chat_request import ChatRequest
from app.openai.text.completion_request import CompletionRequest
from app.openai.text.request import read_request
from app.openai.text.response import ChatReply, CompletionReply
from app.operations.retries import submit_registered
from app.operations.submit import JobRequest, Submitter, SubmitterDep

log = logging.getLogger("atelier.jobs")

router = APIRouter(tags=["openai"])

FRONT: dict[str, Any] = {
    "id": "chatcmpl-01K5X9ZQ3J7Q2M4N6P8R0S1T2V",
    "object": "chat.completion",
    "created": 1790000000,
    "model": "smollm2-135m",
    "system_fingerprint": None,
    "job_id": JOB_ID,
}
USAGE = {"prompt_tokens": 31, "completion_tokens": 17, "total_tokens": 48}
CHAT_EXAMPLE: dict[str, Any] = {
    **FRONT,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Rain taps the window,\n...",
                "refusal": None,
            },
            "logprobs": None,
            "finish_reason": "stop",
            "seed": 1234,
        }
    ],
    "usage": USAGE,
}
COMPLETION_EXAMPLE: dict[str, Any] = {
    **FRONT,
    "id": "cmpl-01K5X9ZQ3J7Q2M4N6P8R0S1T2V",
    "object": "text_completion",
    "choices": [
        {
            "index": 0,
            "text": " one night it opened by itself.",
            "logprobs": None,
            "finish_reason": "length",
            "seed": 1234,
        }
    ],
    "usage": USAGE,
}
CHUNKS = (
    'data: {"id":"chatcmpl-...","object":"chat.completion.chunk","choices":[{"index":0,'
    '"delta":{"content":"Rain"},"logprobs":null,"finish_reason":null}]}\n\ndata: [DONE]\n\n'
)


def replies(example: dict[str, Any], model: Any) -> Replies:
    """What either route answers."""
    written = reply("What was written; with `stream`, chunks of it.", example, LOCATION | REPLAYED)
    written["content"]["text/event-stream"] = {"example": CHUNKS}
    refusals = errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503)
    return {200: {**written, "model": model}, **refusals}


@router.post(
    "/v1/chat/completions",
    summary="Answer in a chat, as OpenAI does",
    response_model=ChatReply,
    responses=replies(CHAT_EXAMPLE, ChatReply),
)
async def complete_chat(
    submitter: SubmitterDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Answers `messages`, at once when all is written or with `stream` as it is.

    Any model that writes can be named, and takes its own parameters besides OpenAI's. It is a job
    like any other (`Location`, `job_id`). A client that leaves has its job canceled, unless it
    sent an `Idempotency-Key`, or tries again as OpenAI's clients do.
    """
    body, text = await read_json(submitter.request)
    catalog, settings = submitter.catalog, submitter.settings
    asked, (job_request,) = read_request(ChatRequest, catalog, settings, body, text)
    return await (await _accept(submitter, job_request, body, InChat(asked))).respond()


@router.post(
    "/v1/completions",
    summary="Go on from a text, as OpenAI does",
    response_model=CompletionReply,
    responses=replies(COMPLETION_EXAMPLE, CompletionReply),
)
async def complete(submitter: SubmitterDep, idempotency_key: IdempotencyKey = None) -> Response:
    """Goes on from `prompt` as it stands, or from each of several by a job of its own; otherwise as
    `/v1/chat/completions`."""
    body, text = await read_json(submitter.request)
    catalog, settings = submitter.catalog, submitter.settings
    asked, job_requests = read_request(CompletionRequest, catalog, settings, body, text)
    if len(job_requests) == 1:
        answer = await _accept(submitter, job_requests[0], body, InCompletion(asked))
        return await answer.respond()
    return await (await _accept_all(submitter, job_requests, body, asked)).respond()


async def _accept(
    submitter: Submitter,
    job_request: JobRequest,
    body: dict[str, Any],
    wording: InChat | InCompletion,
    number: int = 0,
) -> TextAnswer:
    accepted, registration = await submit_registered(submitter, job_request, body, number)
    return TextAnswer(submitter, accepted, registration, wording)


async def _accept_all(
    submitter: Submitter,
    job_requests: list[JobRequest],
    body: dict[str, Any],
    asked: CompletionRequest,
) -> SeveralAnswers:
    """Accepts all jobs or none: where one is refused, those made before it are deleted, so that
    another try makes them anew."""
    answers: list[TextAnswer] = []
    try:
        for number, job_request in enumerate(job_requests):
            wording = InCompletion(asked, number=number)
            answers.append(await _accept(submitter, job_request, body, wording, number))
    except (AtelierError, StoreError, redis.RedisError):
        try:
            for answer in answers:
                if not answer.accepted.replayed:
                    await submitter.queue.delete(submitter.owner, answer.job.id)
                await answer.registration.answered()
        except (AtelierError, redis.RedisError) as error:
            log.warning("jobs that nobody waits for go on: %s", error)
        raise
    return SeveralAnswers(answers)
