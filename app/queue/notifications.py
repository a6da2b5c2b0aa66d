"""Lets many readers sleep until their job has a new event, over one subscription a process.

1. The bell is a hint, the event log the truth: whoever wakes reads the log.
2. A reader has its bell before its first look, so nothing falls between look and sleep.
3. A lost message costs at most RECHECK: no sleep is longer.
4. The subscription lives while anyone listens, and a little longer, so that a process that only
   accepts jobs pays nothing for the rings of all of them.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import redis.asyncio
from redis.exceptions import RedisError

from app.core.job_record import WAKE
from app.core.tasks import end_task

log = logging.getLogger(__name__)

RECHECK = 5.0  # seconds that a lost ring may cost
LINGER = 10.0  # seconds that the subscription outlives its last listener
AGAIN = 0.5  # seconds between tries to subscribe


class Subscription:
    """Rings when its job has something new, when the subscription is made, and at the end."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def sleep(self, seconds: float) -> None:
        """Until the next ring since the last sleep, or that long, or RECHECK."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, RECHECK)):
                await self._rung.wait()
        self._rung.clear()


class Notifier:
    """The bells of this process, and the subscription that rings them."""

    def __init__(self, connection: "redis.asyncio.Redis") -> None:
        self._redis = connection
        self._bells: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._ringer: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def listeners(self) -> int:
        return sum(map(len, self._bells.values()))

    @asynccontextmanager
    async def listen(self, job_id: str) -> AsyncIterator[Subscription]:
        """A bell for this job, as long as the block lasts."""
        bell = Subscription()
        self._bells[job_id].add(bell)
        if self._ringer is None or self._ringer.done():
            self._ringer = asyncio.create_task(self._follow(), name="wake")
        try:
            yield bell
        finally:
            self._bells[job_id].discard(bell)
            if not self._bells[job_id]:
                del self._bells[job_id]

    async def close(self) -> None:
        """Wake everyone for the last time; `closing` tells them why."""
        self.closing = True
        self._ring_all()
        if self._ringer:
            await end_task(self._ringer)

    def _ring_all(self) -> None:
        for bells in self._bells.values():
            for bell in bells:
                bell.ring()

    async def _follow(self) -> None:
        while self._bells:
            try:
                await self._subscribe()
            except (RedisError, OSError) as error:
                log.warning("the wake-up channel broke; readers look by themselves: %s", error)
                await asyncio.sleep(AGAIN)

    async def _subscribe(self) -> None:
        async with self._redis.pubsub() as channel:
            await channel.subscribe(WAKE)
            idle = 0.0
            while idle < LINGER:
                message = await channel.get_message(timeout=1.0)
                idle = 0.0 if self._bells else idle + 1.0
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._ring_all()
                for bell in self._bells.get(message["data"], ()):
                    bell.ring()
