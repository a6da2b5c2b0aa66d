"""The events of several jobs as one stream: a page has few connections to a host.

Each job's events come as in a stream of its own (`event_stream.py`). An event's id has the position
in each job's log, in the order of the jobs, so that a reader that reconnects goes on with all.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from app.core.schemas import TERMINAL
from app.core.tasks import end_task
from app.operations.event_stream import COMMENT, KEEPALIVE, Follower, sent_event
from app.queue.event_log import Event

UNSEEN = "-"  # the place in a log of which nothing was seen
BETWEEN = ","
WAITING = 8  # events of each job that may wait for a slow reader

Item = tuple[int, Event | None, BaseException | None]
"""The number of a job, with an event, a silence, or what ended its reader."""


class ReaderEnded(Exception):
    """A job's events have ended."""


def split_id(last_event_id: str | None, jobs: int) -> list[str | None]:
    """Returns the positions in the logs of so many jobs. An id of another shape says nothing."""
    positions = (last_event_id or "").split(BETWEEN)
    if len(positions) != jobs:
        return [None] * jobs
    return [None if position == UNSEEN else position for position in positions]


def is_seen(follower: Follower) -> bool:
    """Whether the reader has seen the end of this job."""
    return follower.job.status in TERMINAL and follower.position == follower.newest


class MergedFollower:
    """One reader of several jobs. It ends when each of them has.

    Those whose last event the reader has seen are not read again.
    """

    def __init__(self, followers: Sequence[Follower]) -> None:
        self._followers = followers
        self._items: asyncio.Queue[Item] = asyncio.Queue(WAITING * len(followers))

    async def events(self) -> AsyncGenerator[bytes]:
        """The events as they are sent."""
        tasks = [
            asyncio.create_task(self._read(number), name="read-events")
            for number, follower in enumerate(self._followers)
            if not is_seen(follower)
        ]
        positions = [follower.position or UNSEEN for follower in self._followers]
        reading, sent_at = len(tasks), time.monotonic()
        try:
            while reading:
                number, event, end = await self._items.get()
                if event is not None:
                    positions[number] = event.id
                    yield sent_event(Event(BETWEEN.join(positions), event.name, event.data))
                elif isinstance(end, ReaderEnded):
                    reading -= 1
                    continue
                elif end is not None:
                    raise end
                elif time.monotonic() - sent_at >= KEEPALIVE / 2:
                    yield COMMENT
                else:
                    continue
                sent_at = time.monotonic()
        finally:
            # A client that left cancels what this waits for; the readers end all the same.
            await asyncio.shield(asyncio.gather(*(end_task(task) for task in tasks)))

    async def _read(self, number: int) -> None:
        end: BaseException = ReaderEnded()
        try:
            async with aclosing(self._followers[number].entries()) as entries:
                async for entry in entries:
                    await self._items.put((number, entry, None))
        except Exception as error:
            end = error
        await self._items.put((number, None, end))
