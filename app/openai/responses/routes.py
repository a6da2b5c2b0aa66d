"""/v1/responses: answers that are stored and gone on from, for OpenAI's clients."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from starlette.background import BackgroundTask

from app.core.schemas import TERMINAL, Job
from app.deps import OwnerDep, QueueDep, StoreDep
from app.files.long_fields import whole
from app.http.body_parsing import read_json
from app.http.openapi_examples import (
    JOB_ID,
    LOCATION,
    REPLAYED,
    IdempotencyKey,
    errors,
    reply,
)
from app.http.responses import job_header, json_reply
from app.openai.answer import Answer
from app.openai.answer_stream import stream_from_snapshot
from app.openai.responses.conversation import (
    check_metadata,
    earlier_turns,
    input_items,
    new_turns,
    stored_job,
)
from app.openai.responses.event_writer import ResponseEvents
from app.openai.responses.request import ResponsesRequest
from app.openai.responses.response import (
    InputItemList,
    ResponseDeleted,
    ResponseReply,
    asked_turns,
    reply_of,
    response_id,
)
from app.openai.text.request import parse_request
from app.operations.retries import submit_registered
from app.operations.submit import SubmitterDep

log = logging.getLogger("atelier.jobs")

router = APIRouter(tags=["openai"])

ResponseId = Annotated[str, Path(description="The id of a response.", max_length=100)]
EXAMPLE: dict[str, Any] = {
    "id": response_id(JOB_ID),
    "object": "response",
    "created_at": 1790000000,
    "status": "completed",
    "completed_at": 1790000002,
    "model": "smollm2-135m",
    "output": [
        {
            "type": "message",
            "id": f"msg_{JOB_ID.removeprefix('job_')}",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Rain taps the window,\n...", "annotations": []}
            ],
        }
    ],
    "temperature": 0.8,
    "top_p": 0.95,
    "usage": {
        "input_tokens": 31,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 17,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 48,
    },
    "job_id": JOB_ID,
    "seed": 1234,
}
ITEMS = {
    "object": "list",
    "data": [{"type": "message", "id": "msg_0", "role": "user", "content": []}],
    "first_id": "msg_0",
    "last_id": "msg_0",
    "has_more": False,
}
STREAM = (
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Rain",'
    '"output_index":0,"content_index":0,"sequence_number":4}\n\n'
)
CREATED = reply("The response; with `stream`, its events.", EXAMPLE, LOCATION | REPLAYED)
CREATED["content"]["text/event-stream"] = {"example": STREAM}


@dataclass(frozen=True)
class ResponseAnswer(Answer):
    """One request whose job was accepted."""

    asked: ResponsesRequest

    @property
    def names(self) -> Mapping[str, str]:
        return self.asked.names

    @property
    def model(self) -> str:
        return self.asked.named(self.job).model

    async def respond(self) -> Response:
        """The response once it has ended, at once if in the background, or as a stream."""
        if self.asked.background:
            response = await self._whole(self.job)
            response.background = BackgroundTask(self.registration.answered)
            return response
        if self.asked.stream and not await self.is_refused():
            backend = self.submitter.store.backend
            return stream_from_snapshot(self, ResponseEvents(self.job, backend, self.model))
        return await self.once_ended(self._whole)

    async def _whole(self, job: Job) -> Response:
        store = self.submitter.store
        body = await store.run(reply_of, job, store.backend, self.model)
        return json_reply(body, headers=self.headers)


@router.post(
    "/v1/responses",
    summary="Answer, as OpenAI's responses do",
    response_model=ResponseReply,
    responses={
        200: CREATED,
        **errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503),
    },
)
async def create_response(
    submitter: SubmitterDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Answers `input`, after the conversation of `previous_response_id` if there is one.

    Any model that writes can be named, and takes its own parameters besides OpenAI's. It is a job
    like any other (`Location`, `job_id`), kept for as long as its results are.
    """
    body, text = await read_json(submitter.request)
    parsed = parse_request(ResponsesRequest, submitter.catalog, submitter.settings, body, text)
    asked = parsed.asked
    check_metadata(body.get("metadata"))
    earlier = await earlier_turns(submitter, asked.previous_response_id)
    turns = [*earlier, *await new_turns(submitter, asked)]
    job_request = parsed.job_request(asked.job_fields(turns), asked.notes)
    accepted, registration = await submit_registered(submitter, job_request, body)
    return await ResponseAnswer(submitter, accepted, registration, asked).respond()


@router.get(
    "/v1/responses/{response_id}",
    summary="Look at a response, as OpenAI does",
    response_model=ResponseReply,
    responses={200: reply("The response.", EXAMPLE), **errors(401, 404, 410, 503)},
)
async def get_response(
    owner: OwnerDep, queue: QueueDep, store: StoreDep, response_id: ResponseId
) -> Response:
    """The response as it is now."""
    job = await stored_job(queue, store, owner, response_id)
    looked_at = await store.run(reply_of, job, store.backend)
    return json_reply(looked_at, headers=job_header(job))


@router.post(
    "/v1/responses/{response_id}/cancel",
    summary="Cancel a response, as OpenAI does",
    response_model=ResponseReply,
    responses={200: reply("The response.", EXAMPLE), **errors(401, 404, 410, 503)},
)
async def cancel_response(
    owner: OwnerDep, queue: QueueDep, store: StoreDep, response_id: ResponseId
) -> Response:
    """Ends it, if it has not ended."""
    job = await stored_job(queue, store, owner, response_id)
    if job.status not in TERMINAL:
        job = await queue.cancel(owner, job.id)
        log.info("cancel", extra={"job": job.id, "owner": owner})
    looked_at = await store.run(reply_of, await whole(store, job), store.backend)
    return json_reply(looked_at, headers=job_header(job))


@router.get(
    "/v1/responses/{response_id}/input_items",
    summary="List what a response answers, as OpenAI does",
    response_model=InputItemList,
    responses={200: reply("The items.", ITEMS), **errors(401, 404, 410, 503)},
)
async def list_input_items(
    owner: OwnerDep, queue: QueueDep, store: StoreDep, response_id: ResponseId
) -> Response:
    """All turns of the conversation before the answer, the first one first."""
    job = await stored_job(queue, store, owner, response_id)
    items = [item for n, turn in enumerate(asked_turns(job)) for item in input_items(turn, n)]
    ends = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    listed = InputItemList(data=items, first_id=ends[0], last_id=ends[1])
    return json_reply(listed, headers=job_header(job))


@router.delete(
    "/v1/responses/{response_id}",
    summary="Delete a response, as OpenAI does",
    response_model=ResponseDeleted,
    responses={
        200: reply("It is gone.", {"id": response_id(JOB_ID), "deleted": True}),
        **errors(401, 404, 503),
    },
)
async def delete_response(
    owner: OwnerDep, queue: QueueDep, store: StoreDep, response_id: ResponseId
) -> Response:
    """Cancels its job if it is active; its record goes, and its files that nothing else shares."""
    job = await stored_job(queue, store, owner, response_id)
    await queue.delete(owner, job.id)
    log.info("deleted", extra={"job": job.id, "owner": owner})
    return json_reply(ResponseDeleted(id=response_id), headers=job_header(job))
