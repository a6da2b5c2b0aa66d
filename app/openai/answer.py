"""Answers a request whose reply is what its job makes, once that has ended."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import Response
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from app.core.errors import AtelierError, InvalidRequest, Unavailable
from app.core.schemas import TERMINAL, Job
from app.http.exception_handlers import respond
from app.http.responses import accepted_headers
from app.operations.job_errors import NO_OTHERS, check_outputs
from app.operations.retries import Registration
from app.operations.submit import Submitter
from app.queue.jobs import Accepted

AT_ONCE = 1.0  # seconds that a stream waits for its first step; it has nothing to tell before
PATIENCE = 590.0  # seconds; those clients wait 600, and should read why


@dataclass(frozen=True)
class Answer:
    """One request whose job was accepted."""

    submitter: Submitter
    accepted: Accepted
    registration: Registration

    @property
    def job(self) -> Job:
        return self.accepted.job

    @property
    def names(self) -> Mapping[str, str]:
        """What its client calls some of the model's own fields, if not as they are called here."""
        return NO_OTHERS

    @property
    def headers(self) -> dict[str, str]:
        return accepted_headers(self.job, self.accepted.replayed)

    async def is_refused(self) -> bool:
        """Whether the model has found at once that it can't carry out what is asked: then there is
        a status to tell a stream's client by."""
        job = await self.submitter.waiter.wait_for_beginning(self.job, AT_ONCE)
        return job.error is not None and job.error.type == InvalidRequest.type

    async def once_ended(self, reply: Callable[[Job], Awaitable[Response]]) -> Response:
        """The reply to a job that has made something. Raises Unavailable where that takes too long;
        what the job ended in otherwise is an error that no retry cures."""
        by = self.submitter
        job = await by.waiter.wait_for_end(by.request, self.job, PATIENCE)
        if await by.request.is_disconnected():
            await self.registration.left(job)
            raise ClientDisconnect
        if job.status not in TERMINAL:
            await self.registration.abandon()
            raise await self.not_ready()
        try:
            check_outputs(job, self.names)
            response = await reply(job)
        except AtelierError as error:
            response = respond(error)
            response.headers["x-should-retry"] = "false"  # the answer would be the same
            response.headers.update(self.headers)
        response.background = BackgroundTask(self.registration.answered)
        return response

    async def not_ready(self) -> AtelierError:
        """Raises NotFound where the job was deleted, or what Redis says if it is away."""
        queue = self.submitter.queue
        await queue.fetch(self.submitter.owner, self.job.id)
        message = (
            f"{self.job.id} has not ended yet; a marked retry waits on, GET /jobs/{self.job.id}"
        )
        if await queue.leases():
            return Unavailable(message, code="result_not_ready")
        return Unavailable(f"no worker is alive; {message}", code="no_workers")
