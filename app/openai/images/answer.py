"""Answers a request for pictures once its job has ended, or with events while it runs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastapi import Response
from fastapi.sse import format_sse_event

from app.core.errors import AtelierError
from app.core.schemas import Job
from app.core.store import Store
from app.http.responses import json_reply
from app.openai.answer import Answer
from app.openai.answer_stream import stream_from_start
from app.openai.images.request import ImageRequest
from app.openai.images.response import (
    Action,
    CompletedImage,
    PartialImage,
    completed_image,
    images_reply,
    partial_image,
)
from app.queue.event_log import Event


@dataclass(frozen=True)
class ImageAnswer(Answer):
    """One request whose job was accepted, and what it wants to hear of it."""

    asked: ImageRequest

    async def whole(self) -> Response:
        """The reply when the job has ended. Raises Unavailable where that takes too long."""
        request = self.submitter.request
        origin = f"{request.url.scheme}://{request.url.netloc}"
        where = origin if self.asked.by_url else None

        async def reply(job: Job) -> Response:
            store = self.submitter.store
            body = await store.run(images_reply, job, store.backend, where)
            return json_reply(body, headers=self.headers)

        return await self.once_ended(reply)

    async def stream(self) -> Response:
        wanted = self.asked.partial_images or 0
        pictures = Pictures(self.submitter.store.backend, wanted, self.asked.action)
        return await stream_from_start(self, pictures)

    @property
    def names(self) -> Mapping[str, str]:
        return self.asked.names


@dataclass
class Pictures:
    """At most so many previews, the first at once and the rest spread over the run; at the job's
    end an event a file, or `error` in the shape of every error."""

    store: Store
    wanted: int
    action: Action = "image_generation"
    sent: int = 0
    value: float = 0.0

    def begun(self) -> Iterator[bytes]:
        return iter(())

    def on_the_way(self, event: Event) -> Iterator[bytes]:
        if event.name == "progress":
            self.value = json.loads(event.data)["value"]
        elif event.name == "preview" and self.sent < self.wanted and self._is_due:
            yield _event(partial_image(self.sent, json.loads(event.data), self.action))
            self.sent += 1

    @property
    def _is_due(self) -> bool:
        return self.value * self.wanted >= self.sent

    def completed(self, job: Job) -> Iterator[bytes]:
        for output in job.outputs:
            yield _event(completed_image(job, output, self.store, self.action))

    def failed(self, error: AtelierError) -> bytes:
        return format_sse_event(data_str=error.body.model_dump_json(), event="error")


def _event(data: PartialImage | CompletedImage) -> bytes:
    return format_sse_event(data_str=data.model_dump_json(), event=data.type)
