"""Calls of tools and reads of resources, for the owner of a key."""

import base64
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    ReadResourceResult,
    TextResourceContents,
)
from starlette.requests import Request

from app.core.errors import InvalidRequest, TooLarge, Unprocessable
from app.core.schemas import TERMINAL, Job
from app.core.store import Missing
from app.files.downloads import read_note
from app.files.long_fields import shortened, whole
from app.http.body_parsing import with_integers
from app.mcp.results import (
    SCHEME,
    job_result,
    jobs_result,
    models_result,
    progress_line,
)
from app.mcp.tools import (
    CANCEL,
    LONGEST_KEY,
    LONGEST_WAIT,
    MODELS,
    STATUS,
    USUAL_WAIT,
    modality_of,
)
from app.operations.submit import Submitter
from app.operations.wait import JobWaiter
from app.queue.job_search import JobFilter
from app.queue.jobs import Idempotency, known
from app.services import Services
from models.modalities import MODALITIES, Modality

LARGEST_RESOURCE = 700_000
"""Bytes of a resource that is read through the protocol; its clients refuse events of a MiB."""
NEWEST = 10
"""Jobs that `job_status` lists."""

Report = Callable[[float, float | None, str], Awaitable[None]]
"""Takes the progress of a call: steps, all steps if they are known, and a message."""


@dataclass(frozen=True)
class Caller:
    """Who calls a tool: the owner of a key, by one HTTP request."""

    services: Services
    request: Request
    owner: str
    report: Report

    async def make(self, modality: Modality, arguments: dict[str, Any]) -> CallToolResult:
        """Submits a request to a model and waits for its results.

        The job goes on if the caller leaves or the time is up. Raises AtelierError.
        """
        body = dict(arguments)
        seconds = _seconds(body.pop("wait_seconds", USUAL_WAIT))
        key = self._key(modality, body.pop("idempotency_key", None), body)
        submitter = Submitter.of(self.request, self.owner, self.services)
        accepted = await submitter.accept_native(modality, body, json.dumps(body).encode(), key)
        self.request.state.job_id = accepted.job.id
        return await self._result(await self._follow(accepted.job, seconds))

    async def status(self, arguments: Mapping[str, Any]) -> CallToolResult:
        """Returns a job, or the newest ones. Raises AtelierError."""
        _check_names(arguments, ("job_id", "wait_seconds"))
        seconds = _seconds(arguments.get("wait_seconds", 0))
        if arguments.get("job_id") is None:
            listed = await self.services.queue.list(self.owner, JobFilter(limit=NEWEST))
            return jobs_result([shortened(job) for job in listed.data], self.request)
        job = await self._job(arguments)
        return await self._result(await self._follow(job, seconds))

    async def cancel(self, arguments: Mapping[str, Any]) -> CallToolResult:
        """Cancels a job and returns it. Raises AtelierError."""
        _check_names(arguments, ("job_id",))
        job = await self._job(arguments)
        canceled = await self.services.queue.cancel(self.owner, job.id)
        result = await self._result(canceled)
        return result.model_copy(update={"is_error": False})

    async def models(self, arguments: Mapping[str, Any]) -> CallToolResult:
        """Returns the models' cards. Raises AtelierError."""
        _check_names(arguments, ("modality",))
        modality = arguments.get("modality")
        if modality is not None and modality not in MODALITIES:
            message = f"modality must be one of {', '.join(MODALITIES)}"
            raise Unprocessable(message, param="modality")
        leases = await self.services.queue.leases()
        catalog = self.services.catalog
        return models_result([catalog.card(entry, leases) for _, entry in catalog.of(modality)])

    async def read(self, uri: str) -> ReadResourceResult:
        """Returns the bytes of an artifact of the caller's. Raises AtelierError."""
        sha256 = uri.removeprefix(SCHEME)
        if sha256 == uri:
            raise InvalidRequest(f"uri must begin with {SCHEME}", param="uri")
        note = await read_note(self.services.queue.connection, self.owner, sha256)
        if note.bytes > LARGEST_RESOURCE:
            message = f"{note.bytes} bytes are too many for this protocol"
            raise TooLarge(f"{message}: get them from /artifacts/{sha256}", param="uri")
        try:
            data = await self.services.store.get(sha256)
        except Missing:
            raise InvalidRequest("this artifact is no longer stored", param="uri") from None
        content: TextResourceContents | BlobResourceContents
        if note.content_type.startswith("text/"):
            text = data.decode()
            content = TextResourceContents(uri=uri, mime_type=note.content_type, text=text)
        else:
            blob = base64.b64encode(data).decode()
            content = BlobResourceContents(uri=uri, mime_type=note.content_type, blob=blob)
        return ReadResourceResult(contents=[content])

    def _key(self, modality: Modality, key: Any, body: Mapping[str, Any]) -> Idempotency | None:
        """Returns the scope of a key: that of the REST route that makes the same."""
        if key is None:
            return None
        if not isinstance(key, str) or not 1 <= len(key) <= LONGEST_KEY:
            message = f"idempotency_key must have between 1 and {LONGEST_KEY} characters"
            raise Unprocessable(message, param="idempotency_key")
        return Idempotency.of(self.owner, modality.path, key, body)

    async def _job(self, arguments: Mapping[str, Any]) -> Job:
        job_id = arguments.get("job_id")
        if not isinstance(job_id, str):
            message = "job_id is required" if job_id is None else "job_id must be a string"
            raise Unprocessable(message, param="job_id")
        return await self.services.queue.fetch(self.owner, known(job_id))

    async def _follow(self, job: Job, seconds: float) -> Job:
        """Reports a job's steps while it runs. Returns its last state that was seen."""
        services = self.services
        waiter = JobWaiter(services.queue, services.notifier, services.store, self.owner)
        reported = -1
        async for state in waiter.states(job, seconds):
            job = state
            progress = job.progress
            if job.status not in TERMINAL and progress.step > reported:
                reported = progress.step
                await self.report(progress.step, progress.steps or None, progress_line(job))
        return job

    async def _result(self, job: Job) -> CallToolResult:
        return await job_result(
            await whole(self.services.store, job), self.services.store, self.request
        )


async def call(caller: Caller, tool: str, arguments: Mapping[str, Any]) -> CallToolResult | None:
    """Returns what a tool answers; None where there is no such tool. Raises AtelierError."""
    await caller.services.catalog.refresh()
    whole_numbers: dict[str, Any] = with_integers(dict(arguments))
    if modality := modality_of(tool):
        return await caller.make(modality, whole_numbers)
    own = {STATUS: caller.status, CANCEL: caller.cancel, MODELS: caller.models}
    return await own[tool](whole_numbers) if tool in own else None


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= LONGEST_WAIT:
        message = f"wait_seconds must be a number between 0 and {LONGEST_WAIT}"
        raise Unprocessable(message, param="wait_seconds")
    return float(value)


def _check_names(arguments: Mapping[str, Any], known_names: tuple[str, ...]) -> None:
    for name in arguments:
        if name not in known_names:
            message = f"{name} is not a parameter here; known parameters: {', '.join(known_names)}"
            raise Unprocessable(message, code="unknown_parameter", param=name)
