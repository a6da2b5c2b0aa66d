"""POST /v1/chat/completions and /v1/completions: text, for OpenAI's clients."""

import logging
from dataclasses import dataclass
from typing import Any

import redis
from fastapi import APIRouter, Request, Response

from app.core.errors import AtelierError
from app.core.store import StoreError
from app.deps import Has, Owner
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
from app.operations.retries import register
from app.operations.submit import JobRequest, accept
from app.services import Services

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
    made = reply("What was written; with `stream`, chunks of it.", example, LOCATION | REPLAYED)
    made["content"]["text/event-stream"] = {"example": CHUNKS}
    found = errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503)
    return {200: {**made, "model": model}, **found}


@router.post(
    "/v1/chat/completions",
    summary="Answer in a chat, as OpenAI does",
    response_model=ChatReply,
    responses=replies(CHAT_EXAMPLE, ChatReply),
)
async def complete_chat(
    request: Request, services: Has, owner: Owner, idempotency_key: IdempotencyKey = None
) -> Response:
    """Answers `messages`, at once when all is written or with `stream` as it is.

    Any model that writes can be named, and takes its own parameters besides OpenAI's. It is a job
    like any other (`Location`, `job_id`). A client that leaves has its job canceled, unless it
    sent an `Idempotency-Key`, or tries again as OpenAI's clients do.
    """
    await services.catalog.refresh()
    body, text = await read_json(request)
    asked, (wish,) = read_request(ChatRequest, services.catalog, services.settings, body, text)
    at_work = AtWork(request, services, owner, body)
    return await (await at_work.accepted(wish, InChat(asked))).given(request)


@router.post(
    "/v1/completions",
    summary="Go on from a text, as OpenAI does",
    response_model=CompletionReply,
    responses=replies(COMPLETION_EXAMPLE, CompletionReply),
)
async def complete(
    request: Request, services: Has, owner: Owner, idempotency_key: IdempotencyKey = None
) -> Response:
    """Goes on from `prompt` as it stands, or from each of several by a job of its own; otherwise as
    `/v1/chat/completions`."""
    await services.catalog.refresh()
    body, text = await read_json(request)
    asked, wishes = read_request(CompletionRequest, services.catalog, services.settings, body, text)
    at_work = AtWork(request, services, owner, body)
    if len(wishes) == 1:
        return await (await at_work.accepted(wishes[0], InCompletion(asked))).given(request)
    return await (await at_work.all_accepted(wishes, asked)).given(request)


@dataclass(frozen=True)
class AtWork:
    """A request whose jobs are being made."""

    request: Request
    services: Services
    owner: str
    body: dict[str, Any]

    async def accepted(
        self, wish: JobRequest, wording: InChat | InCompletion, part: int = 0
    ) -> TextAnswer:
        attendance = await register(self.request, self.services, self.owner, self.body, part)
        try:
            idempotency = attendance.idempotency
            accepted = await accept(self.request, self.services, self.owner, wish, idempotency)
        except AtelierError:
            await attendance.answered()
            raise
        return TextAnswer(self.services, self.owner, accepted, attendance, wording)

    async def all_accepted(
        self, wishes: list[JobRequest], asked: CompletionRequest
    ) -> SeveralAnswers:
        """All of them or none: where one is refused, there are none of those made before it, so
        that another try makes them anew."""
        made: list[TextAnswer] = []
        try:
            for part, wish in enumerate(wishes):
                made.append(await self.accepted(wish, InCompletion(asked, number=part), part))
        except (AtelierError, StoreError, redis.RedisError):
            try:
                await self._take_back(made)
            except (AtelierError, redis.RedisError) as error:
                log.warning("jobs that nobody waits for go on: %s", error)
            raise
        return SeveralAnswers(made)

    async def _take_back(self, made: list[TextAnswer]) -> None:
        for answer in made:
            if not answer.accepted.replayed:
                delete, own = self.services.jobs.delete, answer.job.id
                await self.services.queue_threads.run(delete, self.owner, own)
            await answer.attendance.answered()
