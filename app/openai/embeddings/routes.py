"""POST /v1/embeddings: vectors of texts, for OpenAI's clients."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from app.core.schemas import Job
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
from app.openai.answer import Answer
from app.openai.embeddings.request import EmbeddingRequest, read_request
from app.openai.embeddings.response import EmbeddingReply, reply_body
from app.operations.retries import submit_registered
from app.operations.submit import SubmitterDep

router = APIRouter(tags=["openai"])

EXAMPLE: dict[str, Any] = {
    "object": "list",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.0439, -0.0127, 0.0812]},
        {"object": "embedding", "index": 1, "embedding": [0.0315, 0.0402, -0.0093]},
    ],
    "model": "all-minilm-l6-v2",
    "usage": {"prompt_tokens": 11, "total_tokens": 11},
    "job_id": JOB_ID,
}
REPLIES: Replies = {
    200: {
        **reply("The vectors, in the order of the texts.", EXAMPLE, LOCATION | REPLAYED),
        "model": EmbeddingReply,
    },
    **errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503),
}


@dataclass(frozen=True)
class EmbeddingAnswer(Answer):
    """One request whose job was accepted."""

    asked: EmbeddingRequest

    @property
    def names(self) -> Mapping[str, str]:
        return self.asked.names

    async def respond(self) -> Response:
        """The reply, once the job has ended."""
        return await self.once_ended(self._vectors)

    async def _vectors(self, job: Job) -> Response:
        store, encoding = self.submitter.store, self.asked.encoding_format
        model = (self.asked.model_extra or {}).get("model") or job.model
        body = await store.run(reply_body, job, model, encoding, store.backend)
        return Response(body, 200, self.headers, media_type="application/json")


@router.post(
    "/v1/embeddings",
    summary="Turn texts into vectors, as OpenAI does",
    response_model=EmbeddingReply,
    responses=REPLIES,
)
async def create_embeddings(
    submitter: SubmitterDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Turns `input`, a text or up to 2,048 of them, into vectors of length 1.

    A text with more tokens than the model reads is refused by its number, as `input.3`. It is one
    job like any other (`Location`, `job_id`). A client that leaves has its job canceled, unless it
    sent an `Idempotency-Key`, or tries again as OpenAI's clients do.
    """
    body, text = await read_json(submitter.request)
    parsed = read_request(submitter.catalog, submitter.settings, body, text)
    accepted, registration = await submit_registered(submitter, parsed.job_request, body)
    return await EmbeddingAnswer(submitter, accepted, registration, parsed.asked).respond()
