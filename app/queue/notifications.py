"""Lets many readers sleep until their job has a new event, over one subscription a process.

1. A notification is a hint, the event log the truth: whoever wakes reads the log.
2. A reader subscribes before its first look, so nothing falls between look and sleep.
3. A lost message costs at most RECHECK: no sleep is longer.
4. The subscription lives while anyone listens, and a little longer, so that a process that only
   accepts jobs pays nothing for the notifications of all of them.
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

RECHECK = 5.0  # seconds that a lost message may cost
LINGER = 10.0  # seconds that the subscription outlives its last listener
AGAIN = 0.5  # seconds between tries to subscribe


class Subscription:
    """Wakes its reader when its job has something new, when it is made, and at the end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        self._event.set()

    async def sleep(self, seconds: float) -> None:
        """Until the next notification since the last sleep, or that long, or RECHECK."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, RECHECK)):
                await self._event.wait()
        self._event.clear()


class Notifier:
    """The subscriptions of this process, and the subscription that wakes them."""

    def __init__(self, connection: "redis.asyncio.Redis") -> None:
        self._redis = connection
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def listeners(self) -> int:
        return sum(map(len, self._subscriptions.values()))

    @asynccontextmanager
    async def listen(self, job_id: str) -> AsyncIterator[Subscription]:
        """A subscription to this job, as long as the block lasts."""
        subscription = Subscription()
        self._subscriptions[job_id].add(subscription)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name="wake")
        try:
            yield subscription
        finally:
            self._subscriptions[job_id].discard(subscription)
            if not self._subscriptions[job_id]:
                del self._subscriptions[job_id]

    async def close(self) -> None:
        """Wake everyone for the last time; `closing` tells them why."""
        self.closing = True
        self._notify_all()
        if self._task:
            await end_task(self._task)

    def _notify_all(self) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.notify()

    async def _follow(self) -> None:
        while self._subscriptions:
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
                idle = 0.0 if self._subscriptions else idle + 1.0
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._notify_all()
                for subscription in self._subscriptions.get(message["data"], ()):
                    subscription.notify()
