"""The events of a job as server-sent events: a snapshot, what happens, and one end.

1. A fresh reader gets the whole job first, under the id of the newest event at that moment.
2. Then each event once, in order; after a drop, from the one named in Last-Event-ID.
3. Where the log no longer reaches back to it, a snapshot stands for what was missed.
4. The last event is completed, failed or canceled, with the whole job; then the stream ends.
"""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import redis
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Send

from app.errors import NotFound
from app.events import TERMINAL_EVENTS
from app.schemas import TERMINAL, Job
from app.services import Services
from app.wake import Bell

log = logging.getLogger(__name__)

KEEPALIVE = 15.0  # seconds of silence before a comment is sent
COMMENT = b": keepalive\n\n"
END = {"expired": "completed"}  # the event of a status that has none of its own name


class EventStream(StreamingResponse):
    """A stream that lets go of everything the moment its client leaves."""

    def __init__(self, follower: "Follower") -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self._events = follower.events()
        super().__init__(self._events, headers=headers, media_type="text/event-stream")

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._events):
            await super().stream_response(send)


@dataclass
class Follower:
    """One reader of one job: what it has last seen of it, and where in the log it stands.

    `position` is None until it has been given a snapshot.
    """

    services: Services
    owner: str
    job: Job
    newest: str
    position: str | None

    async def events(self) -> AsyncGenerator[bytes]:
        quiet_since = time.monotonic()
        async with self.services.wake.listen(self.job.id) as bell:
            while not self.services.wake.closing:
                for text, last in await self._news(bell):
                    yield text
                    quiet_since = time.monotonic()
                    if last:
                        return
                if time.monotonic() - quiet_since >= KEEPALIVE:
                    yield COMMENT
                    quiet_since = time.monotonic()

    async def _news(self, bell: Bell) -> list[tuple[bytes, bool]]:
        """What to send next, each with whether it is the last; after a sleep if there is none."""
        try:
            news = await self._snapshot() if self.position is None else await self._replay()
        except redis.RedisError as error:
            log.warning("the events can't be read now: %s", error)
            await bell.sleep(1)
            return []
        if not news and self.position is not None:
            await bell.sleep(KEEPALIVE)
        return news

    async def _snapshot(self) -> list[tuple[bytes, bool]]:
        job, self.position = await self._look()
        if job.status in TERMINAL:
            return [(_event(END.get(job.status, job.status), job, self.position), True)]
        return [(_event("status", job, self.position), False)]

    async def _replay(self) -> list[tuple[bytes, bool]]:
        entries = await self.services.events.after(self.job.id, self.position or "")
        if entries is None:
            self.position = None
            return []
        news = []
        for entry in entries:
            self.position = entry.id
            if entry.name not in TERMINAL_EVENTS:
                text = format_sse_event(data_str=entry.data, event=entry.name, id=entry.id)
                news.append((text, False))
                continue
            job, _ = await self._look()
            if job.status in TERMINAL:  # else it was put to work again since
                news.append((_event(entry.name, job, entry.id), True))
                break
        return news

    async def _look(self) -> tuple[Job, str]:
        """The job as it is; one that was deleted ends as canceled, as it was last seen."""
        try:
            self.job, newest = await self.services.reader.snapshot(self.owner, self.job.id)
        except NotFound:
            if self.job.status not in TERMINAL:
                self.job = self.job.model_copy(update={"status": "canceled"})
            newest = self.position or self.newest
        return self.job, newest


def _event(name: str, job: Job, event_id: str) -> bytes:
    return format_sse_event(data_str=job.model_dump_json(), event=name, id=event_id)
