"""Streams several completions side by side, each of a text of its own, by a job each.

The chunks have the id of the first job, and choices are numbered as in the whole answer. A failure
of one is the answer to all: `error`, and nothing after it; jobs that still run are canceled.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from anyio import CancelScope
from starlette.types import Send

from app.core.errors import AtelierError, Unavailable
from app.core.schemas import TERMINAL
from app.core.store import StoreError
from app.openai.answer_stream import ARRIVED, follower_of
from app.openai.text.answer import TextAnswer, Writing
from app.operations.event_stream import COMMENT, EventStream
from app.operations.job_errors import check_outputs
from app.queue.event_log import Event

log = logging.getLogger(__name__)

STOPS = "result_not_ready"
Entry = Event | None
"""An event of a job, or a silence."""


class SeveralStream(EventStream):
    """A client that leaves before it was told all has every job canceled."""

    def __init__(self, answers: Sequence[TextAnswer]) -> None:
        self._answers = answers
        self._writings = [
            Writing(x.job, x.wording, x.store, shown=answers[0].job, first_index=i * _choices(x))
            for i, x in enumerate(answers)
        ]
        self._followers = [follower_of(answer, None) for answer in answers]
        self._is_answered = False  # all, or what went wrong
        self._begun = time.monotonic()
        super().__init__(self._events(), answers[0].headers)

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            with CancelScope(shield=True):
                await self._over()

    async def _over(self) -> None:
        fresh = not self._is_answered and time.monotonic() - self._begun < ARRIVED
        ends = [
            self._is_answered and follower.job.status in TERMINAL for follower in self._followers
        ]
        await asyncio.gather(
            *(
                x.registration.answered() if ended else x.registration.left(x.job, fresh)
                for x, ended in zip(self._answers, ends, strict=True)
            )
        )

    async def _events(self) -> AsyncGenerator[bytes]:
        for writing in self._writings:
            for text in writing.begun():
                yield text
        try:
            async with aclosing(interleaved([x.entries() for x in self._followers])) as entries:
                async for number, entry in entries:
                    async for text in self._chunks(number, entry):
                        yield text
            for text in self._writings[0].closing([x.job for x in self._followers]):
                yield text
            self._is_answered = True
        except AtelierError as error:
            yield self._writings[0].failed(error)
            self._is_answered = error.code != STOPS
        except StoreError as error:
            self._is_answered = True
            log.error("the artifact store failed: %s", error)
            message = f"artifacts can't be read now: {error}; try again"
            yield self._writings[0].failed(Unavailable(message, code="store_unavailable"))

    async def _chunks(self, number: int, entry: "Entry | End") -> AsyncGenerator[bytes]:
        """The chunks of what happens to one job. Raises AtelierError, StoreError."""
        writing, job = self._writings[number], self._followers[number].job
        if not isinstance(entry, End):
            for text in (COMMENT,) if entry is None else writing.on_the_way(entry):
                yield text
            return
        if job.status not in TERMINAL:
            raise Unavailable(f"the server stops; {job.id} goes on", code=STOPS)
        check_outputs(job, self._answers[number].names)
        store = self._answers[number].submitter.store
        async for text in store.iterate(writing.ended(job)):
            yield text


class End:
    """One of several sources has no more entries."""


async def interleaved(
    sources: Sequence[AsyncGenerator[Entry]],
) -> AsyncGenerator[tuple[int, Entry | End]]:
    """Yields the entries of all as they come, with their source's number, and the end of each."""
    waiting = {_next(source): number for number, source in enumerate(sources)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: waiting[task]):
                number = waiting.pop(task)
                entries = task.result()
                if entries:
                    waiting[_next(sources[number])] = number
                for entry in entries or (End(),):
                    yield number, entry
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for source in sources:
            await source.aclose()


def _next(source: AsyncGenerator[Entry]) -> asyncio.Task[list[Entry]]:
    """The next entry of a source, in a list that is empty at its end."""

    async def read() -> list[Entry]:
        async for entry in source:
            return [entry]
        return []

    return asyncio.create_task(read())


def _choices(answer: TextAnswer) -> int:
    count: int = answer.job.input["n"]
    return count
