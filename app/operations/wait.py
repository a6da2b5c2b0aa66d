"""Waits for the end of a job, for clients that would rather wait than poll."""

import asyncio
import time

import redis
from fastapi import Request

from app.core.errors import NotFound
from app.core.long_fields import whole
from app.core.schemas import TERMINAL, Job
from app.services import Services


async def wait_for_end(
    request: Request, services: Services, owner: str, job: Job, seconds: float
) -> Job:
    """The job as it is when it ends, when the time is up, or when the client leaves.

    A job that was accepted is told as such whatever befalls the waiting, so the last state that
    was seen stands where Redis goes away or the job is deleted.
    """
    watching = asyncio.create_task(_left(request))
    try:
        return await _until(watching, services, owner, job, time.monotonic() + seconds)
    finally:
        watching.cancel()


async def wait_for_beginning(services: Services, owner: str, job: Job, seconds: float) -> Job:
    """The job as it is when it has made a step or has ended, or when the time is up."""
    deadline = time.monotonic() + seconds
    async with services.wake.listen(job.id) as bell:
        while True:
            try:
                job = await services.reader.fetch(owner, job.id)
            except (NotFound, redis.RedisError):
                return job
            left = deadline - time.monotonic()
            if job.status in TERMINAL or job.progress.step or left <= 0 or services.wake.closing:
                return job
            await bell.sleep(left)


async def _until(
    watching: "asyncio.Task[None]", services: Services, owner: str, job: Job, deadline: float
) -> Job:
    async with services.wake.listen(job.id) as bell:
        watching.add_done_callback(lambda _: bell.ring())
        while True:
            try:
                job = await services.reader.fetch(owner, job.id)
            except (NotFound, redis.RedisError):
                return job
            left = deadline - time.monotonic()
            if job.status in TERMINAL or left <= 0 or watching.done() or services.wake.closing:
                return await whole(services, job)
            await bell.sleep(left)


async def _left(request: Request) -> None:
    """Ends when the client has left; the body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
