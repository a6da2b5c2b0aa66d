"""POST /generate/*: one route for each modality; a request becomes a job."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Response

from app.core.schemas import Job
from app.http.openapi_examples import (
    APPLIED,
    LOCATION,
    REPLAYED,
    RETRY_AFTER,
    IdempotencyKey,
    Prefer,
    Replies,
    ended_job_example,
    errors,
    queued_job_example,
    reply,
)
from app.operations.submit import SubmitterDep
from models.modalities import MODALITIES, Modality

BODY = "The body is the model's own request: `GET /models/{id}` describes its parameters."


def generate_router() -> APIRouter:
    """Returns a `POST /generate/{name}` for each row of MODALITIES."""
    router = APIRouter(tags=["generate"])
    for modality in MODALITIES.values():
        router.add_api_route(
            modality.path,
            _endpoint(modality),
            methods=["POST"],
            name=f"generate_{modality.name.replace('-', '_')}",
            summary=modality.summary,
            description=f"{modality.description}\n\n{BODY}",
            status_code=202,
            response_model=Job,
            responses=_replies(modality),
        )
    return router


def _endpoint(modality: Modality) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def endpoint(
        submitter: SubmitterDep,
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
    ) -> Response:
        return await submitter.generate(modality.name)

    return endpoint


def _replies(modality: Modality) -> Replies:
    queued, ended = queued_job_example(modality), ended_job_example(modality)
    return {
        200: {
            **reply("It ended while the client waited.", ended, LOCATION | REPLAYED | APPLIED),
            "model": Job,
        },
        202: reply("Accepted.", queued, LOCATION | REPLAYED | RETRY_AFTER),
        **errors(400, 401, 404, 410, 413, 415, 422, 429, 503),
    }
