"""Reads jobs from Redis over asyncio: one, with its newest event, or a page of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import redis.asyncio

from app.core.job_record import index_key, job_key
from app.core.schemas import Job, JobList, Status
from app.queue.jobs import Idempotency, job_of
from app.queue.read_batcher import Reads
from models.modalities import MODALITIES

STATUSES: tuple[Status, ...] = (
    "queued",
    "in_progress",
    "canceling",
    "completed",
    "failed",
    "canceled",
    "expired",
)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list: newest first or oldest first, after one that was seen."""

    status: Status | None = None
    type: str | None = None
    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"


class JobReader:
    """What reads jobs, over an asyncio connection."""

    def __init__(self, connection: "redis.asyncio.Redis") -> None:
        self._redis = connection
        self._reads = Reads(connection, "view", "follow")

    async def fetch(self, owner: str, job_id: str) -> Job:
        return (await self.snapshot(owner, job_id))[0]

    async def snapshot(self, owner: str, job_id: str) -> tuple[Job, str]:
        """A job, and the id of its newest event, read at one moment."""
        view = await self._reads.run("view", owner, job_id)
        return job_of(job_id, view), view[2] if view else "0-0"

    async def follow(self, job_id: str, seconds: float) -> None:
        """Have the job's worker know that someone follows it, for so long."""
        await self._reads.run("follow", job_id, seconds)

    async def seen(self, idempotency: Idempotency) -> bool:
        """Whether this key has made a job before: its inputs may have gone their way since."""
        job = await self._redis.hget(idempotency.key, "job")
        return job is not None and bool(await self._redis.exists(job_key(str(job))))

    async def list(self, owner: str, page: JobFilter) -> JobList:
        """One page. It reads `limit` ids of each list concerned, however long the lists are."""
        ids = await self._ids(owner, page)
        asked = (self._reads.run("view", owner, job_id) for job_id in ids[: page.limit])
        jobs = await asyncio.gather(*asked)
        data = [job_of(i, view) for i, view in zip(ids, jobs, strict=False) if view]
        return JobList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(ids) > page.limit,
        )

    async def _ids(self, owner: str, page: JobFilter) -> Sequence[str]:
        descending = page.order == "desc"
        start, end = ("+", "-") if descending else ("-", "+")
        if page.after:
            start = f"({page.after}"
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in _lists(owner, page):
                pipe.zrange(
                    key, start, end, desc=descending, bylex=True, offset=0, num=page.limit + 1
                )
            lists = await pipe.execute()
        return sorted((i for ids in lists for i in ids), reverse=descending)[: page.limit + 1]


def _lists(owner: str, page: JobFilter) -> list[str]:
    if page.status is None and page.type is None:
        return [index_key(owner)]
    types = [page.type] if page.type else list(MODALITIES)
    statuses = [page.status] if page.status else list(STATUSES)
    return [index_key(owner, t, s) for t in types for s in statuses]
