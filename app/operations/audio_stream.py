"""The sound of a job as it is made: a WAV file of unknown length, read from the store in chunks.

1. Who comes late gets it from its beginning, and after the job's end the same bytes.
2. Its samples are those of the finished file.
3. A job that begins anew makes the same chunks again, so who listens goes on where they were.
4. It ends with the sound, or with the job; a job that ends before its sound gives a short one.
5. Nothing is held between two chunks but a subscription; who hangs up leaves the job as it is.
"""

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import redis
from starlette.requests import ClientDisconnect

from app.core.errors import NotFound
from app.core.job_record import sound_key
from app.core.schemas import TERMINAL, Job
from app.core.store import Missing
from app.core.wav import wav_header
from app.files.artifact_store import ArtifactStore
from app.operations.job_errors import check_outputs
from app.queue.follow_marks import FollowMark
from app.queue.notifications import RECHECK, Notifier, Subscription
from app.queue.queue import Queue

log = logging.getLogger(__name__)

AHEAD = 16  # chunks asked for at once


@dataclass(frozen=True, slots=True)
class AudioState:
    """What Redis tells of an item's sound: the next chunks, and what the whole is like."""

    chunks: list[str]  # SHA-256 each, of those that follow the ones that were asked after
    form: tuple[int, int]  # samples a second, channels
    total: int | None  # chunks, once it is known


NOTHING = AudioState([], (0, 0), None)


@dataclass
class Listener:
    """One reader of one item of one job."""

    queue: Queue
    notifier: Notifier
    store: ArtifactStore
    owner: str
    job: Job
    index: int
    number: int = 0  # the chunk that comes next

    async def check(self) -> None:
        """Raises what is told of a job that has ended without a sound."""
        if self.job.status in TERMINAL and not (await self._hear()).chunks:
            check_outputs(self.job)
            raise NotFound(f"{self.job.id} made no sound", code="artifact_not_found")

    async def sound(self) -> AsyncGenerator[bytes]:
        """A header and the samples, as they come."""
        mark = FollowMark(self.queue)
        async with self.notifier.listen(self.job.id) as subscription:
            while not self.notifier.closing:
                await mark.renew(self.job)
                over, state = await self._look(subscription)
                for sha256 in state.chunks:
                    try:
                        samples = await self.store.get(sha256)
                    except Missing:
                        return  # the job was deleted, or its time is over
                    yield samples if self.number else wav_header(*state.form, None) + samples
                    self.number += 1
                if self.number == state.total or (over and not state.chunks):
                    return
                if not state.chunks:
                    await subscription.sleep(RECHECK)
        raise ClientDisconnect  # the server stops: cut off, so that nobody takes this for its end

    async def _look(self, subscription: Subscription) -> tuple[bool, AudioState]:
        """Whether the job is over, and what is new; the first is asked first, so that no chunk
        comes in between."""
        while True:
            try:
                return await self._is_over(), await self._hear()
            except redis.RedisError as error:
                log.warning("the sound can't be read now: %s", error)
                if self.notifier.closing:
                    return True, NOTHING
                await subscription.sleep(1)

    async def _is_over(self) -> bool:
        try:
            job = await self.queue.fetch(self.owner, self.job.id)
        except NotFound:
            return True
        return job.status in TERMINAL

    async def _hear(self) -> AudioState:
        numbers = range(self.number, self.number + AHEAD)
        fields = [f"{self.index}/{name}" for name in ("form", "chunks", *numbers)]
        values: list[Any] = await self.queue.connection.hmget(sound_key(self.job.id), fields)
        form, total, *chunks = values
        there = chunks[: chunks.index(None)] if None in chunks else chunks
        if not form:
            return NOTHING
        rate, channels = map(int, form.split("/"))
        return AudioState(there, (rate, channels), int(total) if total else None)
