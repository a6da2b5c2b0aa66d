"""Answers a request for pictures once its job has ended, or with events while it runs."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from anyio import CancelScope
from fastapi import Request, Response
from fastapi.sse import format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.types import Send

from app.errors import AtelierError, Unavailable
from app.following import COMMENT, EventStream, Follower
from app.openai.answer import Answer
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
from app.store import StoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageAnswer(Answer):
    """One request whose job was accepted, and what it wants to hear of it."""

    asked: Asked

    async def whole(self, request: Request) -> Response:
        """The reply when the job has ended. Raises Unavailable where that takes too long."""
        base_url = str(request.base_url).rstrip("/")
        where = base_url if self.asked.response_format == "url" else None

        async def reply(job: Job) -> Response:
            made = await run_in_threadpool(images_reply, job, self.services.store, where)
            return json_reply(made, headers=self.headers)

        return await self.once_ended(request, reply)

    async def stream(self) -> Response:
        """Events from the job's first on, so that no preview is missed."""
        first = await self.services.events.first(self.job.id)
        return _Stream(self, Follower(self.services, self.owner, self.job, first or "0-0", first))


class _Stream(EventStream):
    """At most `partial_images` previews, the first at once and the rest spread over the run; at the
    job's end an event a file, or `error` in the shape of every error."""

    def __init__(self, answer: ImageAnswer, follower: Follower) -> None:
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
