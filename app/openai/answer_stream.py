"""Answers a request with events while its job runs, and with what it made at its end."""

import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Protocol

from anyio import CancelScope
from starlette.types import Send

from app.core.errors import AtelierError, Unavailable
from app.core.schemas import TERMINAL, Job
from app.core.store import StoreError
from app.openai.answer import Answer
from app.operations.event_stream import COMMENT, EventStream, Follower
from app.operations.job_errors import check_outputs
from app.queue.event_log import Event

log = logging.getLogger(__name__)


class EventWriter(Protocol):
    """How one route words what happens to its job."""

    def begun(self) -> Iterator[bytes]:
        """Before anything has happened."""

    def on_the_way(self, event: Event) -> Iterator[bytes]:
        """At an event of the job."""

    def completed(self, job: Job) -> Iterator[bytes]:
        """At its end, if it has made something. May block. Raises AtelierError, StoreError."""

    def failed(self, error: AtelierError) -> bytes:
        """In place of the rest."""


ARRIVED = 2.0  # seconds after which a client must have had the beginning of its answer


async def stream_from_start(answer: Answer, writer: EventWriter) -> "AnswerStream":
    """Events from the job's first on, so that nothing is missed."""
    try:
        first = await answer.submitter.queue.events.first(answer.job.id)
    except BaseException:
        with CancelScope(shield=True):
            await answer.registration.abandon()
        raise
    return AnswerStream(answer, follower_of(answer, first), writer)


def stream_from_snapshot(answer: Answer, writer: EventWriter) -> "AnswerStream":
    """The job as it is, then what happens to it: where a snapshot has all that there was."""
    return AnswerStream(answer, follower_of(answer, None), writer)


def follower_of(answer: Answer, position: str | None) -> Follower:
    """Reads a job's events from a position in its log; None is from a snapshot of the job."""
    by, newest = answer.submitter, position or "0-0"
    return Follower(by.queue, by.notifier, by.store, by.owner, answer.job, newest, position)


class AnswerStream(EventStream):
    """A client that leaves before it was told all has its job canceled, as `Registration` says."""

    def __init__(self, answer: Answer, follower: Follower, writer: EventWriter) -> None:
        self._answer, self._follower, self._writer = answer, follower, writer
        self._is_complete = False
        self._begun = time.monotonic()
        super().__init__(self._events(), answer.headers)

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            with CancelScope(shield=True):
                await self._over()

    async def _over(self) -> None:
        if self._is_complete:
            await self._answer.registration.answered()
        else:
            fresh = time.monotonic() - self._begun < ARRIVED
            await self._answer.registration.left(self._answer.job, fresh)

    async def _events(self) -> AsyncGenerator[bytes]:
        for text in self._writer.begun():
            yield text
        async with aclosing(self._follower.entries()) as entries:
            async for entry in entries:
                for text in (COMMENT,) if entry is None else self._writer.on_the_way(entry):
                    yield text
        job = self._follower.job
        try:
            if job.status not in TERMINAL:
                raise Unavailable(f"the server stops; {job.id} goes on", code="result_not_ready")
            check_outputs(job, self._answer.names)
            async for text in self._answer.submitter.store.iterate(self._writer.completed(job)):
                yield text
        except AtelierError as error:
            yield self._writer.failed(error)
        except StoreError as error:
            log.error("the artifact store failed: %s", error)
            message = f"artifacts can't be read now: {error}; try again"
            yield self._writer.failed(Unavailable(message, code="store_unavailable"))
        self._is_complete = job.status in TERMINAL
