"""Answers a request for several completions, each of a text of its own, by a job each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import Response
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from app.core.errors import AtelierError
from app.core.schemas import TERMINAL, Job
from app.http.exception_handlers import respond
from app.http.responses import json_reply
from app.openai.answer import PATIENCE
from app.openai.text.answer import TextAnswer
from app.openai.text.batch_stream import SeveralStream
from app.openai.text.response import CompletionReply, completion_reply, joined
from app.operations.job_errors import check_outputs
from app.operations.retries import Registration


@dataclass(frozen=True)
class SeveralAnswers:
    """One request whose jobs were accepted, in the order of its texts."""

    answers: Sequence[TextAnswer]

    async def respond(self) -> Response:
        """The reply, or a stream, as was asked."""
        if self.answers[0].wording.asked.stream:
            refused = await asyncio.gather(*(answer.is_refused() for answer in self.answers))
            if not any(refused):
                return SeveralStream(self.answers)
        return await self._once_ended()

    async def _once_ended(self) -> Response:
        """The reply when all have ended. One that made nothing is the answer to all."""
        until = time.monotonic() + PATIENCE
        jobs = [await self._ended(answer, until) for answer in self.answers]
        if await self.answers[0].submitter.request.is_disconnected():
            leaving = zip(self.answers, jobs, strict=True)
            await asyncio.gather(*(a.registration.left(job) for a, job in leaving))
            raise ClientDisconnect
        for answer, job in zip(self.answers, jobs, strict=True):
            if job.status not in TERMINAL:
                await self._each(Registration.abandon)
                raise await answer.not_ready()
        try:
            for job in jobs:
                check_outputs(job, self.answers[0].names)
            store = self.answers[0].submitter.store
            response = json_reply(await store.run(self._reply, jobs))
        except AtelierError as error:
            response = respond(error)
            response.headers["x-should-retry"] = "false"  # the answer would be the same
        response.headers.update(self.answers[0].headers)
        response.background = BackgroundTask(self._each, Registration.answered)
        return response

    async def _ended(self, answer: TextAnswer, until: float) -> Job:
        left = max(0.0, until - time.monotonic())
        return await answer.submitter.waiter.wait_for_end(
            answer.submitter.request, answer.job, left
        )

    async def _each(self, action: Callable[[Registration], Awaitable[None]]) -> None:
        for answer in self.answers:
            await action(answer.registration)

    def _reply(self, jobs: Sequence[Job]) -> CompletionReply:
        answers = zip(self.answers, jobs, strict=True)
        return joined(
            [
                completion_reply(a.wording.asked.named(job), a.wording.before, a.store)
                for a, job in answers
            ]
        )
