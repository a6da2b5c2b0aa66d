"""From a validated body to an accepted job: shared by every route that makes something."""

import json
import logging
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError

from app.catalog.catalog import CatalogEntry
from app.core.errors import Unprocessable
from app.core.long_fields import split, whole
from app.core.schemas import TERMINAL, Job
from app.core.settings import Settings
from app.http.body_parsing import read_json
from app.http.proxies import route_path
from app.http.responses import job_reply
from app.http.validation_errors import Schema, explain_details
from app.operations.input_checks import check_inputs
from app.operations.unresolved import KEPT_SECONDS
from app.operations.wait import wait_for_end
from app.queue.jobs import (
    Accepted,
    Idempotency,
    LongInput,
    NewJob,
    OutcomeUnknown,
    Token,
    hash_body,
)
from app.services import Services
from models.params.base import MAX_SEED, Params, posted_files

log = logging.getLogger("atelier.jobs")

LONGEST_KEY = 255
WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,2})"?', re.IGNORECASE)
LONGEST_WAIT = 60


@dataclass(frozen=True)
class Route:
    """What a route makes: the type of its jobs, their modality, and its default model."""

    type: str
    modality: str
    model: str

    @classmethod
    def of(cls, modality: str, settings: Settings) -> "Route":
        return cls(modality, modality, settings.default_model(modality))


@dataclass(frozen=True)
class JobRequest:
    """What was validated: the type of job to make, by which model, of what params."""

    type: str
    entry: CatalogEntry
    params: Params
    streamed: bool = False  # whether its previews are to be sent as they come


async def generate(request: Request, services: Services, owner: str, route: Route) -> Response:
    """Validate, accept, and answer: 202, or 200 where the client waits and the job ends in time."""
    await services.catalog.refresh()
    body, text = await read_json(request)
    entry = services.catalog.find(_model_of(body, route), route.modality)
    wish = JobRequest(route.type, entry, validated(entry, text, entry.schema))
    key = client_key(request, owner, body) or service_key(request, services, owner, body)
    try:
        accepted = await accept(request, services, owner, wish, key)
    except OutcomeUnknown as error:
        error.key = key.token.text if key.token else ""
        raise
    headers = {"Location": accepted.job.urls.self}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    seconds = preferred_wait(request.headers.getlist("prefer"))
    if seconds is None:
        return job_reply(accepted.job, 202, headers)
    job = await wait_for_end(request, services, owner, accepted.job, seconds)
    if job.status in TERMINAL:
        return job_reply(job, 200, {**headers, "Preference-Applied": f"wait={seconds}"})
    return job_reply(job, 202, headers)


async def accept(
    request: Request, services: Services, owner: str, wish: JobRequest, idempotency: Idempotency
) -> Accepted:
    """Make a job of a wish, or find the one that was made of it before.

    Raises OutcomeUnknown; with a key of this service, the next try of the request finds the job.
    """
    token = idempotency.token
    try:
        first = token is not None and token.first
        if first or not await services.reader.seen(idempotency):
            await check_inputs(services, owner, wish.params, wish.entry.header)
        new = _new_job(owner, wish)
        stored = await _stored(services, new)
        accepted = await services.queue_threads.run(services.jobs.submit, stored, idempotency)
    except Exception as error:
        if token and (isinstance(error, OutcomeUnknown) or not token.first):
            services.unresolved.remember(token.request, token.text)
        raise
    request.state.accepted = True
    _note(accepted, owner)
    if accepted.replayed:
        return replace(accepted, job=await whole(services, accepted.job))
    return replace(
        accepted, job=accepted.job.model_copy(update={"input": new.input, "omitted": []})
    )


def _model_of(body: dict[str, Any], route: Route) -> str:
    model = body.get("model", route.model)
    if not isinstance(model, str):
        raise Unprocessable("model must be a string", param="model")
    return model


def validated(entry: CatalogEntry, text: bytes | str, schema: Schema) -> Params:
    """The body as this model's request, by the letter: no "4" for 4.

    Raises InvalidRequest, in words of the schema that the client knows it by.
    """
    try:
        return entry.request.model_validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise explain_details(found, schema) from None


def _new_job(owner: str, wish: JobRequest) -> NewJob:
    given = wish.params.model_dump(mode="json")
    metadata, model = given.pop("metadata"), given.pop("model")
    request = hash_body(given)
    if given["seed"] is None:
        given["seed"] = secrets.randbelow(MAX_SEED + 1)
    return NewJob(
        owner=owner,
        type=wish.type,
        model=model,
        sha256=wish.entry.sha256,
        input=given,
        seed=given["seed"],
        items=given["n"],
        metadata=metadata,
        rows=wish.params.rows,
        inputs=posted_files(wish.params),
        request=request,
        streamed=wish.streamed,
    )


async def _stored(services: Services, new: NewJob) -> NewJob:
    """The job with its long fields in the store, where it has any."""
    short, long = split(new.input)
    if not long:
        return new
    data = json.dumps(long).encode()
    sha256 = await services.store_threads.run(services.uploads.keep_input, data)
    return replace(new, input=short, long_input=LongInput(list(long), sha256, len(data)))


def client_key(
    request: Request, owner: str, body: dict[str, Any], part: int = 0
) -> Idempotency | None:
    """The client's Idempotency-Key, with its own body, before a seed was chosen for it; of a
    request that makes several jobs, for one of them."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY:
        message = f"Idempotency-Key must have between 1 and {LONGEST_KEY} characters"
        raise Unprocessable(message, param="Idempotency-Key")
    return Idempotency.of(owner, route_path(request.scope), f"{key}\n{part}" if part else key, body)


def service_key(
    request: Request, services: Services, owner: str, body: dict[str, Any]
) -> Idempotency:
    """A key for a request without one: that of its earlier try, if that try's outcome is unknown.

    The server forgets it after a while; it is only of use to a client that tries again.
    """
    path = route_path(request.scope)
    asked = f"{owner}:{path}:{hash_body(body)}"
    earlier = services.unresolved.take(asked)
    token = Token(earlier or secrets.token_hex(16), asked, first=earlier is None)
    own = Idempotency.of(owner, path, token.text, body)
    return replace(own, ttl=round(KEPT_SECONDS), token=token)


def preferred_wait(headers: list[str]) -> int | None:
    """The seconds of `Prefer: wait=N`, of the first that is there and well formed (RFC 7240)."""
    for preference in ",".join(headers).split(","):
        match = WAIT.fullmatch(preference.partition(";")[0].strip())
        if match and int(match[1]) <= LONGEST_WAIT:
            return int(match[1])
    return None


def _note(accepted: Accepted, owner: str) -> None:
    job: Job = accepted.job
    log.info(
        "replayed" if accepted.replayed else "accepted",
        extra={"job": job.id, "owner": owner, "model": job.model},
    )
