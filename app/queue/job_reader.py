"""Reads jobs from Redis over asyncio: one, with its newest event, or a page of them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import redis.asyncio

from app.core.job_record import index_key, job_key
from app.core.schemas import Job, JobList, Status
from app.queue.job_search import CHUNK, CHUNK_BYTES, MOST_BYTES, MOST_EXAMINED, JobFilter
from app.queue.jobs import Idempotency, job_of
from app.queue.read_batcher import Reads
from models.modalities import MODALITIES

FETCHED = 100  # jobs that one round trip reads
STATUSES: tuple[Status, ...] = (
    "queued",
    "in_progress",
    "canceling",
    "completed",
    "failed",
    "canceled",
    "expired",
)


Span = tuple[str | None, str | None]
"""Of ids: the first, and the first that no longer counts. None is no bound."""


class JobReader:
    """What reads jobs, over an asyncio connection."""

    def __init__(self, connection: "redis.asyncio.Redis") -> None:
        self._redis = connection
        self._reads = Reads(connection, "view", "follow", "search", "find_created")

    async def fetch(self, owner: str, job_id: str) -> Job:
        return (await self.snapshot(owner, job_id))[0]

    async def snapshot(self, owner: str, job_id: str) -> tuple[Job, str]:
        """A job, and the id of its newest event, read at one moment."""
        view = await self._reads.run("view", owner, job_id)
        return job_of(job_id, view), view[2] if view else "0-0"

    async def fetch_all(self, owner: str, ids: Sequence[str]) -> Sequence[Job | None]:
        """Many jobs, None for each that is not there or another's."""
        jobs: Sequence[Job | None] = []
        for start in range(0, len(ids), FETCHED):
            chunk = ids[start : start + FETCHED]
            views = await asyncio.gather(*(self._reads.run("view", owner, i) for i in chunk))
            jobs = [
                *jobs,
                *(job_of(i, view) if view else None for i, view in zip(chunk, views, strict=True)),
            ]
        return jobs

    async def follow(self, job_id: str, seconds: float) -> None:
        """Have the job's worker know that someone follows it, for so long."""
        await self._reads.run("follow", job_id, seconds)

    async def seen(self, idempotency: Idempotency) -> bool:
        """Whether this key has made a job before: its inputs may have gone their way since."""
        job = await self._redis.hget(idempotency.key, "job")
        return job is not None and bool(await self._redis.exists(job_key(str(job))))

    async def list(self, owner: str, page: JobFilter) -> JobList:
        """One page. Without a search it reads `limit` ids of each list concerned, however long the
        lists are; a search stops at its limits, and `last_id` is the last job that it examined."""
        span = await self._span(owner, page)
        if span is None:
            return JobList(data=[], first_id=None, last_id=None, has_more=False)
        if page.is_search:
            ids, last, more = await self._search(owner, page, span)
        else:
            ids = await self._ids(owner, page, span)
            more = len(ids) > page.limit
            ids = ids[: page.limit]
            last = ids[-1] if ids else None
        asked = (self._reads.run("view", owner, job_id) for job_id in ids)
        jobs = await asyncio.gather(*asked)
        data = [job_of(i, view) for i, view in zip(ids, jobs, strict=True) if view]
        first = data[0].id if data else None
        return JobList(data=data, first_id=first, last_id=last, has_more=more)

    async def _span(self, owner: str, page: JobFilter) -> Span | None:
        """The jobs of these dates: the first of them, and the first after them. None if there are
        none."""
        dates = (page.created_after, page.created_before)
        first, end = await asyncio.gather(*(self._first_since(owner, date) for date in dates))
        if page.created_after is not None and first is None:
            return None
        return first, end

    async def _first_since(self, owner: str, seconds: int | None) -> str | None:
        if seconds is None:
            return None
        job: str | None = await self._reads.run("find_created", owner, seconds)
        return job

    async def _search(
        self, owner: str, page: JobFilter, span: Span
    ) -> tuple[Sequence[str], str | None, bool]:
        """Ids of jobs that match, the last one examined, and whether there are more to examine."""
        matches, last, more = [], page.after, False
        async with aclosing(self._examine(owner, page, span)) as examined:
            async for examination in examined:
                last, is_match, more = examination
                if is_match:
                    matches.append(last)
                if len(matches) == page.limit:
                    break
        return matches, last, more

    async def _examine(
        self, owner: str, page: JobFilter, span: Span
    ) -> AsyncGenerator[tuple[str, bool, bool]]:
        """Yields the id of each job up to the limits of a search, whether it matches, and whether
        others follow."""
        last, examined, read = page.after, 0, 0
        kind = "texts" if page.terms else "model"
        while examined < MOST_EXAMINED and read < MOST_BYTES:
            size = min(CHUNK, MOST_EXAMINED - examined)
            ids = await self._ids(owner, replace(page, after=last, limit=size), span)
            if not ids:
                return
            text = await self._reads.run("search", CHUNK_BYTES, kind, *ids[:size])
            rows = json.loads(text)
            for last, row in zip(ids, rows, strict=False):
                yield last, page.matches(row), last != ids[-1]
            if last == ids[-1]:
                return
            examined, read = examined + len(rows), read + len(text)

    async def _ids(self, owner: str, page: JobFilter, span: Span) -> Sequence[str]:
        """The first `limit` ids and one more."""
        descending = page.order == "desc"
        start, end = _bounds(page.after, span, descending)
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in _lists(owner, page):
                pipe.zrange(
                    key, start, end, desc=descending, bylex=True, offset=0, num=page.limit + 1
                )
            lists = await pipe.execute()
        return sorted((i for ids in lists for i in ids), reverse=descending)[: page.limit + 1]


def _bounds(after: str | None, span: Span, descending: bool) -> tuple[str, str]:
    """Where a range of ids begins and ends, in the order of the listing, as ZRANGE takes them."""
    first, end = span
    if descending:
        until = min((i for i in (after, end) if i), default=None)
        return (f"({until}" if until else "+"), (f"[{first}" if first else "-")
    if after and (first is None or after >= first):
        start = f"({after}"
    else:
        start = f"[{first}" if first else "-"
    return start, (f"({end}" if end else "+")


def _lists(owner: str, page: JobFilter) -> list[str]:
    if page.status is None and page.type is None:
        return [index_key(owner)]
    types = [page.type] if page.type else list(MODALITIES)
    statuses = [page.status] if page.status else list(STATUSES)
    return [index_key(owner, t, s) for t in types for s in statuses]
