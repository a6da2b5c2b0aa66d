"""The event log of a job: a Redis Stream, read here, appended by the scripts' `emit`.

An event's id is its stream id. A reader that names the last event it has seen gets what followed,
or learns that the log no longer reaches back to it: the log is cut from its old end, so it has all
that followed an event exactly if it still has that event.
"""

import re
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from app.core.job_record import events_key

EVENT_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
BATCH = 256  # events read at once; a log holds about 200
TERMINAL_EVENTS = frozenset({"completed", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Event:
    """One entry: its stream id, its name, and its data as JSON text."""

    id: str
    name: str
    data: str


class EventLog:
    def __init__(self, connection: "redis.asyncio.Redis") -> None:
        self._redis = connection

    async def first(self, job_id: str) -> str | None:
        """The oldest event that there still is: who reads on from it has seen the rest of them."""
        rows: Any = await self._redis.xrange(events_key(job_id), count=1)
        return str(rows[0][0]) if rows else None

    async def after(self, job_id: str, last: str) -> list[Event] | None:
        """What followed the event `last`, or None where the log does not reach back to it."""
        if not EVENT_ID.fullmatch(last):
            return None
        rows: Any = await self._redis.xrange(events_key(job_id), min=last, count=BATCH)
        if not rows or rows[0][0] != last:
            return None
        return [Event(i, fields["event"], fields["data"]) for i, fields in rows[1:]]

    async def newest(self, job_id: str, name: str) -> Event | None:
        """The last event of this name among the newest; None where there is none."""
        rows: Any = await self._redis.xrevrange(events_key(job_id), count=BATCH)
        named = (x for x in rows if x[1]["event"] == name)
        return next((Event(i, name, fields["data"]) for i, fields in named), None)
