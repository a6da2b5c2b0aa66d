"""Waits for the end of a job, for clients that would rather wait than poll."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import redis
from fastapi import Request

from app.core.errors import NotFound
from app.core.schemas import TERMINAL, Job
from app.files.artifact_store import ArtifactStore
from app.files.long_fields import whole
from app.queue.notifications import Notifier, Subscription
from app.queue.queue import Queue


@dataclass(frozen=True)
class JobWaiter:
    """Waits for the jobs of one owner."""

    queue: Queue
    notifier: Notifier
    store: ArtifactStore
    owner: str

    async def wait_for_end(self, request: Request, job: Job, seconds: float) -> Job:
        """Returns the job as it is when it ends, when the time is up, or when the client leaves.

        Waiting never hides that a job was accepted: where Redis goes away or the job is deleted,
        this returns the last state that was seen.
        """
        watching = asyncio.create_task(_left(request))

        def is_over(job: Job) -> bool:
            return job.status in TERMINAL or watching.done()

        try:
            async with self.notifier.listen(job.id) as subscription:
                watching.add_done_callback(lambda _: subscription.notify())
                return await whole(
                    self.store, await self._wait(subscription, job, seconds, is_over)
                )
        finally:
            watching.cancel()

    async def wait_for_beginning(self, job: Job, seconds: float) -> Job:
        """Returns the job as it is when it has made a step or has ended, or when the time is up."""

        def has_begun(job: Job) -> bool:
            return job.status in TERMINAL or job.progress.step > 0

        async with self.notifier.listen(job.id) as subscription:
            return await self._wait(subscription, job, seconds, has_begun)

    async def states(self, job: Job, seconds: float) -> AsyncGenerator[Job]:
        """Yields the job as it is now and after each change, until it ends or the time is up."""
        async with self.notifier.listen(job.id) as subscription:
            async for state in self._states(subscription, job, seconds):
                yield state

    async def _wait(
        self, subscription: Subscription, job: Job, seconds: float, until: Callable[[Job], bool]
    ) -> Job:
        async with aclosing(self._states(subscription, job, seconds)) as states:
            async for state in states:
                job = state
                if until(job):
                    break
        return job

    async def _states(
        self, subscription: Subscription, job: Job, seconds: float
    ) -> AsyncGenerator[Job]:
        deadline = time.monotonic() + seconds
        while True:
            try:
                job = await self.queue.fetch(self.owner, job.id)
            except (NotFound, redis.RedisError):
                return
            yield job
            left = deadline - time.monotonic()
            if job.status in TERMINAL or left <= 0 or self.notifier.closing:
                return
            await subscription.sleep(left)


async def _left(request: Request) -> None:
    """Ends when the client has left; the body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
