"""Answers a request for pictures once its job has ended, or with events while it runs."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from anyio import CancelScope
from fastapi import Request, Response
from fastapi.sse import format_sse_event
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Send

from app.attendance import Attendance
from app.errors import AtelierError, Unavailable
from app.following import COMMENT, EventStream, Follower
from app.handlers import respond
from app.jobs import Accepted
from app.leases import read_leases
from app.openai.endings import check_made
from app.openai.image_reply import (
    CompletedImage,
    PartialImage,
    completed_image,
    images_reply,
    partial_image,
)
from app.openai.image_request import Asked
from app.replies import json_reply
from app.schemas import TERMINAL, Job
from app.services import Services
from app.store import StoreError
from app.waiting import wait_for_end

log = logging.getLogger(__name__)

PATIENCE = 590.0  # seconds; those clients wait 600, and should read why


@dataclass(frozen=True)
class Answer:
    """One request whose job was accepted, and what it wants to hear of it."""

    services: Services
    owner: str
    asked: Asked
    accepted: Accepted
    attendance: Attendance

    @property
    def job(self) -> Job:
        return self.accepted.job

    @property
    def headers(self) -> dict[str, str]:
        replayed = {"Idempotent-Replayed": "true"} if self.accepted.replayed else {}
        return {"Location": self.job.urls.self, **replayed}

    async def whole(self, request: Request) -> Response:
        """The reply when the job has ended. Raises Unavailable where that takes too long."""
        job = await wait_for_end(request, self.services, self.owner, self.job, PATIENCE)
        if await request.is_disconnected():
            await self.attendance.left(self.owner, job)
            raise ClientDisconnect
        if job.status not in TERMINAL:
            await self.attendance.deserted()
            raise await self._not_ready()
        base_url = str(request.base_url).rstrip("/")
        try:
            response = await self._reply(job, base_url)
        except AtelierError as error:
            response = respond(error)
            response.headers["x-should-retry"] = "false"  # it would only be told again
            response.headers.update(self.headers)
        response.background = BackgroundTask(self.attendance.answered)
        return response

    async def _reply(self, job: Job, base_url: str) -> Response:
        check_made(job)
        where = base_url if self.asked.response_format == "url" else None
        reply = await run_in_threadpool(images_reply, job, self.services.store, where)
        return json_reply(reply, headers=self.headers)

    async def _not_ready(self) -> AtelierError:
        """Raises NotFound where the job was deleted, or what Redis says if it is away."""
        await self.services.reader.fetch(self.owner, self.job.id)
        words = f"{self.job.id} has not ended yet; a marked retry waits on, GET /jobs/{self.job.id}"
        if await read_leases(self.services.reader_redis):
            return Unavailable(words, code="result_not_ready")
        return Unavailable(f"no worker is alive; {words}", code="no_workers")

    async def stream(self) -> Response:
        """Events from the job's first on, so that no preview is missed."""
        first = await self.services.events.first(self.job.id)
        return _Stream(self, Follower(self.services, self.owner, self.job, first or "0-0", first))


class _Stream(EventStream):
    """At most `partial_images` previews, the first at once and the rest spread over the run; at the
    job's end an event a file, or `error` in the shape of every error."""

    def __init__(self, answer: Answer, follower: Follower) -> None:
        self._answer, self._follower = answer, follower
        self._told_all = False
        super().__init__(self._told(), answer.headers)

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            with CancelScope(shield=True):
                await self._over()

    async def _over(self) -> None:
        if self._told_all:
            await self._answer.attendance.answered()
        else:
            await self._answer.attendance.left(self._answer.owner, self._answer.job)

    async def _told(self) -> AsyncGenerator[bytes]:
        async with aclosing(self._on_the_way()) as way:
            async for text in way:
                yield text
        job, store = self._follower.job, self._answer.services.store
        try:
            if job.status not in TERMINAL:
                raise Unavailable(f"the server stops; {job.id} goes on", code="result_not_ready")
            check_made(job)
            for output in job.outputs:
                yield _event(await run_in_threadpool(completed_image, job, output, store))
        except AtelierError as error:
            yield _error(error)
        except StoreError as error:
            log.error("the artifact store failed: %s", error, exc_info=error)
            message = "artifacts can't be read now; try again"
            yield _error(Unavailable(message, code="store_unavailable"))
        self._told_all = job.status in TERMINAL

    async def _on_the_way(self) -> AsyncGenerator[bytes]:
        """Until the job has ended, or the server stops."""
        wanted, sent, value = self._answer.asked.partial_images or 0, 0, 0.0
        async with aclosing(self._follower.entries()) as entries:
            async for entry in entries:
                if entry is None:
                    yield COMMENT
                elif entry.name == "progress":
                    value = json.loads(entry.data)["value"]
                elif entry.name == "preview" and sent < wanted and value * wanted >= sent:
                    yield _event(partial_image(sent, json.loads(entry.data)))
                    sent += 1


def _event(told: PartialImage | CompletedImage) -> bytes:
    return format_sse_event(data_str=told.model_dump_json(), event=told.type)


def _error(error: AtelierError) -> bytes:
    return format_sse_event(data_str=error.body.model_dump_json(), event="error")
