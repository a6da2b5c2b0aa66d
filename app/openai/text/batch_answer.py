"""Answers a request for several completions, each of a text of its own, by a job each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from app.core.errors import AtelierError
from app.core.schemas import TERMINAL, Job
from app.http.exception_handlers import respond
from app.http.responses import json_reply
from app.openai.answer import PATIENCE
from app.openai.text.answer import TextAnswer
from app.openai.text.response import CompletionReply, completion_reply, joined
from app.operations.job_errors import check_made
from app.operations.retries import Attendance
from app.operations.wait import wait_for_end


@dataclass(frozen=True)
class SeveralAnswers:
    """One request whose jobs were accepted, in the order of its texts."""

    answers: Sequence[TextAnswer]

    async def given(self, request: Request) -> Response:
        """The reply when all have ended. One that made nothing is the answer to all."""
        until = time.monotonic() + PATIENCE
        jobs = [await self._ended(request, answer, until) for answer in self.answers]
        if await request.is_disconnected():
            leaving = zip(self.answers, jobs, strict=True)
            await asyncio.gather(*(a.attendance.left(a.owner, job) for a, job in leaving))
            raise ClientDisconnect
        for answer, job in zip(self.answers, jobs, strict=True):
            if job.status not in TERMINAL:
                await self._each(Attendance.deserted)
                raise await answer.not_ready()
        try:
            for job in jobs:
                check_made(job, self.answers[0].names)
            threads = self.answers[0].services.store_threads
            response = json_reply(await threads.run(self._reply, jobs))
        except AtelierError as error:
            response = respond(error)
            response.headers["x-should-retry"] = "false"  # it would only be told again
        response.headers.update(self.answers[0].headers)
        response.background = BackgroundTask(self._each, Attendance.answered)
        return response

    async def _ended(self, request: Request, answer: TextAnswer, until: float) -> Job:
        left = max(0.0, until - time.monotonic())
        return await wait_for_end(request, answer.services, answer.owner, answer.job, left)

    async def _each(self, told: Callable[[Attendance], Awaitable[None]]) -> None:
        for answer in self.answers:
            await told(answer.attendance)

    def _reply(self, jobs: Sequence[Job]) -> CompletionReply:
        answers = zip(self.answers, jobs, strict=True)
        return joined([completion_reply(job, a.wording.before, a.store) for a, job in answers])
