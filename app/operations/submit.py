"""From a validated body to an accepted job: shared by every route that makes something."""

import json
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from app.catalog.catalog import CatalogEntry
from app.core.errors import Unprocessable
from app.core.schemas import TERMINAL, Job
from app.deps import CatalogDep, NotifierDep, OwnerDep, QueueDep, SettingsDep, StoreDep
from app.files.long_fields import split, whole
from app.http.body_parsing import read_json
from app.http.proxies import route_path
from app.http.responses import accepted_headers, job_reply
from app.http.validation_errors import Schema, explain_details
from app.operations.input_checks import check_inputs
from app.operations.wait import JobWaiter
from app.queue.jobs import (
    Accepted,
    Idempotency,
    LongInput,
    NewJob,
    OutcomeUnknown,
    Token,
    hash_body,
)
from app.queue.unresolved import KEPT_SECONDS
from app.services import Services
from models.modalities import MODALITIES, Modality
from models.params.base import MAX_SEED, Params, posted_files

log = logging.getLogger("atelier.jobs")

LONGEST_KEY = 255
WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,2})"?', re.IGNORECASE)
LONGEST_WAIT = 60


@dataclass(frozen=True)
class JobRequest:
    """What was validated: the type of job to make, by which model, of what params."""

    type: str
    entry: CatalogEntry
    params: Params
    streamed: bool = False  # whether its previews are to be sent as they come
    notes: Mapping[str, str] = field(default_factory=dict)  # added to its metadata


@dataclass(frozen=True)
class Submitter:
    """Makes jobs of one request. Routes depend on it."""

    request: Request
    owner: OwnerDep
    settings: SettingsDep
    catalog: CatalogDep
    queue: QueueDep
    notifier: NotifierDep
    store: StoreDep

    @classmethod
    def of(cls, request: Request, owner: str, services: Services) -> "Submitter":
        """Returns one for routes that find the owner in a way of their own."""
        return cls(
            request,
            owner,
            services.settings,
            services.catalog,
            services.queue,
            services.notifier,
            services.store,
        )

    async def generate(self, modality: str) -> Response:
        """Validates the body, accepts a job and answers: 202, or 200 where the client waits and the
        job ends in time."""
        body, text = await read_json(self.request)
        key = client_key(self.request, self.owner, body)
        accepted = await self.accept_native(MODALITIES[modality], body, text, key)
        headers = accepted_headers(accepted.job, accepted.replayed)
        seconds = preferred_wait(self.request.headers.getlist("prefer"))
        if seconds is None:
            return job_reply(accepted.job, 202, headers)
        job = await self.waiter.wait_for_end(self.request, accepted.job, seconds)
        if job.status in TERMINAL:
            return job_reply(job, 200, {**headers, "Preference-Applied": f"wait={seconds}"})
        return job_reply(job, 202, headers)

    async def accept_native(
        self, modality: Modality, body: dict[str, Any], text: bytes, key: Idempotency | None
    ) -> Accepted:
        """Validates a model's own request and accepts its job, as `accept` does."""
        model = body.get("model", self.settings.default_model(modality.name))
        if not isinstance(model, str):
            raise Unprocessable("model must be a string", param="model")
        entry = self.catalog.find(model, modality.name)
        job_request = JobRequest(modality.name, entry, validated(entry, text, entry.schema))
        key = key or self._service_key(modality.path, body)
        try:
            return await self.accept(job_request, key)
        except OutcomeUnknown as error:
            error.key = key.token.text if key.token else ""
            raise

    async def accept(self, job_request: JobRequest, idempotency: Idempotency) -> Accepted:
        """Makes a job, or finds the one that this key made before.

        Raises OutcomeUnknown; with a key of this service, the next try of the request finds the
        job.
        """
        token = idempotency.token
        try:
            first = token is not None and token.first
            if first or not await self.queue.seen(idempotency):
                await check_inputs(
                    self.queue,
                    self.store,
                    self.owner,
                    job_request.params,
                    job_request.entry.header,
                )
            new = _new_job(self.owner, job_request)
            accepted = await self.queue.submit(await self._with_stored_input(new), idempotency)
        except Exception as error:
            if token and (isinstance(error, OutcomeUnknown) or not token.first):
                self.queue.unresolved.remember(token.request, token.text)
            raise
        self.request.state.accepted = True
        job: Job = accepted.job
        log.info(
            "replayed" if accepted.replayed else "accepted",
            extra={"job": job.id, "owner": self.owner, "model": job.model},
        )
        if accepted.replayed:
            return replace(accepted, job=await whole(self.store, job))
        return replace(accepted, job=job.model_copy(update={"input": new.input, "omitted": []}))

    @property
    def waiter(self) -> JobWaiter:
        return JobWaiter(self.queue, self.notifier, self.store, self.owner)

    async def _with_stored_input(self, new: NewJob) -> NewJob:
        """Returns the job with its long fields in the store, where it has any."""
        short, long = split(new.input)
        if not long:
            return new
        data = json.dumps(long).encode()
        sha256 = await self.store.keep_input(data)
        return replace(new, input=short, long_input=LongInput(list(long), sha256, len(data)))

    def _service_key(self, path: str, body: dict[str, Any]) -> Idempotency:
        """Returns a key for a request without one: that of its earlier try, if that try's outcome
        is unknown.

        The server forgets it after a while; it is only of use to a client that tries again.
        """
        asked = f"{self.owner}:{path}:{hash_body(body)}"
        earlier = self.queue.unresolved.take(asked)
        token = Token(earlier or secrets.token_hex(16), asked, first=earlier is None)
        own = Idempotency.of(self.owner, path, token.text, body)
        return replace(own, ttl=round(KEPT_SECONDS), token=token)


SubmitterDep = Annotated[Submitter, Depends()]


def validated(entry: CatalogEntry, text: bytes | str, schema: Schema) -> Params:
    """The body as this model's request, by the letter: no "4" for 4.

    Raises InvalidRequest, in words of the schema that the client knows it by.
    """
    try:
        return entry.request.model_validate_json(text, strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise explain_details(problems, schema) from None


def _new_job(owner: str, job_request: JobRequest) -> NewJob:
    params, entry = job_request.params, job_request.entry
    fields = params.model_dump(mode="json")
    metadata, model = fields.pop("metadata"), fields.pop("model")
    request = hash_body(fields)
    if fields["seed"] is None:
        fields["seed"] = secrets.randbelow(MAX_SEED + 1)
    return NewJob(
        owner=owner,
        type=job_request.type,
        model=model,
        sha256=entry.sha256,
        input=fields,
        seed=fields["seed"],
        items=fields["n"],
        metadata={**metadata, **job_request.notes},
        rows=params.rows,
        inputs=posted_files(params),
        request=request,
        streamed=job_request.streamed,
    )


def client_key(
    request: Request, owner: str, body: dict[str, Any], number: int = 0
) -> Idempotency | None:
    """The client's Idempotency-Key, with its own body, before a seed was chosen for it; of a
    request that makes several jobs, for one of them."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY:
        message = f"Idempotency-Key must have between 1 and {LONGEST_KEY} characters"
        raise Unprocessable(message, param="Idempotency-Key")
    return Idempotency.of(
        owner, route_path(request.scope), f"{key}\n{number}" if number else key, body
    )


def preferred_wait(headers: list[str]) -> int | None:
    """The seconds of `Prefer: wait=N`, of the first that is there and well formed (RFC 7240)."""
    for preference in ",".join(headers).split(","):
        match = WAIT.fullmatch(preference.partition(";")[0].strip())
        if match and int(match[1]) <= LONGEST_WAIT:
            return int(match[1])
    return None
