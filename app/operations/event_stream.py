"""The events of a job as server-sent events: a snapshot, what happens, and one end.

1. A fresh reader gets the whole job first, under the id of the newest event at that moment.
2. Then each event once, in order; after a drop, from the one named in Last-Event-ID.
3. Where the log no longer reaches back to it, a snapshot stands for what was missed.
4. The last event is completed, failed or canceled, with the whole job; then the stream ends.
"""

import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import redis
from fastapi.sse import format_sse_event

from app.core.errors import NotFound
from app.core.job_record import url_prefix
from app.core.schemas import TERMINAL, Job
from app.files.artifact_store import ArtifactStore
from app.files.long_fields import whole
from app.http.streaming import LiveStream
from app.queue.event_log import TERMINAL_EVENTS, Event
from app.queue.follow_marks import FollowMark
from app.queue.notifications import Notifier, Subscription
from app.queue.queue import Queue

log = logging.getLogger(__name__)

KEEPALIVE = 15.0  # seconds of silence before a comment is sent
COMMENT = b": keepalive\n\n"
MEDIA_TYPE = "text/event-stream"
END = {"expired": "completed"}  # the event of a status that has none of its own name


class EventStream(LiveStream):
    """Events as they come."""

    def __init__(
        self, events: AsyncGenerator[bytes], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(events, MEDIA_TYPE, headers)


@dataclass
class Follower:
    """One reader of one job: what it has last seen of it, and where in the log it stands.

    `position` is None until it has been given a snapshot.
    """

    queue: Queue
    notifier: Notifier
    store: ArtifactStore
    owner: str
    job: Job
    newest: str
    position: str | None

    async def events(self) -> AsyncGenerator[bytes]:
        """The events as they are sent."""
        async with aclosing(self.entries()) as entries:
            async for entry in entries:
                yield COMMENT if entry is None else sent_event(entry)

    async def entries(self) -> AsyncGenerator[Event | None]:
        """The events, and None after a silence. `job` is as it was at the last snapshot or end."""
        quiet_since = time.monotonic()
        mark = FollowMark(self.queue)
        async with self.notifier.listen(self.job.id) as subscription:
            while not self.notifier.closing:
                await mark.renew(self.job)
                for entry in await self._news(subscription):
                    yield entry
                    quiet_since = time.monotonic()
                    if entry.name in TERMINAL_EVENTS:
                        return
                if time.monotonic() - quiet_since >= KEEPALIVE:
                    yield None
                    quiet_since = time.monotonic()

    async def _news(self, subscription: Subscription) -> list[Event]:
        """What to send next; after a sleep if there is none."""
        try:
            news = await self._snapshot() if self.position is None else await self._replay()
        except redis.RedisError as error:
            log.warning("the events can't be read now: %s", error)
            await subscription.sleep(1)
            return []
        if not news and self.position is not None:
            await subscription.sleep(KEEPALIVE)
        return news

    async def _snapshot(self) -> list[Event]:
        job, self.position = await self._look()
        name = END.get(job.status, job.status) if job.status in TERMINAL else "status"
        return [Event(self.position, name, job.model_dump_json())]

    async def _replay(self) -> list[Event]:
        entries = await self.queue.events.after(self.job.id, self.position or "")
        if entries is None:
            self.position = None
            return []
        news = []
        for entry in entries:
            self.position = entry.id
            if entry.name not in TERMINAL_EVENTS:
                news.append(entry)
                continue
            job, _ = await self._look()
            if job.status in TERMINAL:  # else it was put to work again since
                news.append(Event(entry.id, entry.name, job.model_dump_json()))
                break
        return news

    async def _look(self) -> tuple[Job, str]:
        """The job as it is; one that was deleted ends as canceled, as it was last seen."""
        try:
            job, newest = await self.queue.snapshot(self.owner, self.job.id)
            self.job = await whole(self.store, job)
        except NotFound:
            if self.job.status not in TERMINAL:
                self.job = self.job.model_copy(update={"status": "canceled"})
            newest = self.position or self.newest
        return self.job, newest


def sent_event(event: Event) -> bytes:
    """An event as this client is sent it."""
    return format_sse_event(data_str=_addressed(event), event=event.name, id=event.id)


def _addressed(event: Event) -> str:
    """The event's data, with the URL of an output as this client reaches it."""
    prefix = url_prefix.get()
    if event.name != "output" or not prefix:
        return event.data
    output = json.loads(event.data)
    return json.dumps({**output, "url": f"{prefix}{output['url']}"})
