"""POST /v1/messages: answers in a chat, for Anthropic's clients."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.anthropic.message_errors import message_errors
from app.anthropic.message_events import MessageEvents
from app.anthropic.request import MessagesRequest
from app.anthropic.response import MessageReply, message_reply
from app.core.schemas import Job
from app.deps import ServicesDep
from app.http.body_parsing import read_json
from app.http.openapi_examples import JOB_ID, LOCATION, REPLAYED, IdempotencyKey, reply
from app.http.responses import json_reply
from app.openai.answer import Answer
from app.openai.answer_stream import stream_from_snapshot
from app.openai.text.request import parse_request
from app.operations.retries import submit_registered
from app.operations.submit import Submitter

router = APIRouter(tags=["anthropic"])

EXAMPLE: dict[str, Any] = {
    "id": f"msg_{JOB_ID.removeprefix('job_')}",
    "type": "message",
    "role": "assistant",
    "model": "smollm2-135m",
    "content": [{"type": "text", "text": "Rain taps the window,\n..."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 31, "output_tokens": 17},
    "job_id": JOB_ID,
    "seed": 1234,
}
STREAM = (
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    '"delta":{"type":"text_delta","text":"Rain"}}\n\n'
)
CREATED = reply("The message; with `stream`, its events.", EXAMPLE, LOCATION | REPLAYED)
CREATED["content"]["text/event-stream"] = {"example": STREAM}


async def get_message_submitter(request: Request, services: ServicesDep) -> Submitter:
    """Makes jobs of the owner of a key: a Bearer's, or that of Anthropic's header `x-api-key`.

    Raises Unauthenticated.
    """
    authorization, key = (request.headers.get(x) for x in ("authorization", "x-api-key"))
    if authorization is None and key is not None:
        authorization = f"Bearer {key}"
    owner = services.keys.owner(authorization)
    request.state.owner = owner
    await services.catalog.refresh()
    return Submitter.of(request, owner, services)


@dataclass(frozen=True)
class MessageAnswer(Answer):
    """One request whose job was accepted."""

    asked: MessagesRequest

    @property
    def names(self) -> Mapping[str, str]:
        return self.asked.names

    async def respond(self) -> Response:
        """The message once it is written, or a stream."""
        if self.asked.stream and not await self.is_refused():
            return stream_from_snapshot(self, MessageEvents(self.asked.named(self.job)))
        return await self.once_ended(self._whole)

    async def _whole(self, job: Job) -> Response:
        return json_reply(message_reply(self.asked.named(job)), headers=self.headers)


@router.post(
    "/v1/messages",
    summary="Answer in a chat, as Anthropic does",
    response_model=MessageReply,
    responses={
        200: {**CREATED, "model": MessageReply},
        **message_errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503),
    },
)
async def create_message(
    submitter: Annotated[Submitter, Depends(get_message_submitter)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answers `messages`, at once when all is written or with `stream` as it is.

    Any model that writes can be named, and takes its own parameters besides Anthropic's. It is a
    job like any other (`Location`, `job_id`). A client that leaves has its job canceled, unless it
    sent an `Idempotency-Key`, or tries again as Anthropic's clients do.
    """
    body, text = await read_json(submitter.request)
    parsed = parse_request(MessagesRequest, submitter.catalog, submitter.settings, body, text)
    job_request = parsed.job_request(parsed.asked.job_fields())
    accepted, registration = await submit_registered(submitter, job_request, body)
    return await MessageAnswer(submitter, accepted, registration, parsed.asked).respond()
