"""Answers a request for text once it is written, or piece by piece as it is.

A stream is chunks of one shape, with the choice that each goes on with: in a chat first its role,
then its text, its log-probabilities where they were asked for, and why it ended; then how many
tokens it took, if that was asked for, and `[DONE]`. A failure is `error`, and nothing after it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response
from fastapi.sse import format_sse_event
from pydantic import BaseModel

from app.core.errors import AtelierError
from app.core.schemas import Job
from app.core.store import Store
from app.core.text_assembly import ItemTexts, TextChanged
from app.http.responses import json_reply
from app.openai.answer import Answer
from app.openai.answer_stream import stream_from_snapshot
from app.openai.text.chat_request import ChatRequest
from app.openai.text.completion_request import CompletionRequest
from app.openai.text.response import (
    call_id,
    calls_tools,
    chat_finish,
    chat_logprobs,
    chat_reply,
    completion_logprobs,
    completion_reply,
    front,
    texts,
    usage_of_all,
)
from app.queue.event_log import Event
from models.params.function_calls import ContentPiece, Piece, ToolCallParser

DONE = format_sse_event(data_str="[DONE]")


@dataclass(frozen=True)
class InChat:
    """How a chat's route words what is written: whole, as it begins, and as it goes on."""

    asked: ChatRequest
    prefix: str = "chatcmpl"
    kind: str = "chat.completion.chunk"
    before: str = ""  # what an answer begins with

    def whole(self, job: Job, store: Store) -> BaseModel:
        return chat_reply(self.asked.named(job), store)

    def opening(self) -> dict[str, Any]:
        return {"delta": {"role": "assistant", "content": ""}}

    def piece(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}

    def chances(self, job: Job, index: int, store: Store) -> BaseModel | None:
        return chat_logprobs(job, index, store)


@dataclass(frozen=True)
class InCompletion:
    """The same of a completion's."""

    asked: CompletionRequest
    prefix: str = "cmpl"
    kind: str = "text_completion"
    number: int = 0  # of the text that it goes on from

    @property
    def before(self) -> str:
        return self.asked.texts[self.number] if self.asked.echo else ""

    def whole(self, job: Job, store: Store) -> BaseModel:
        return completion_reply(self.asked.named(job), self.before, store)

    def opening(self) -> dict[str, Any] | None:
        return self.piece(self.before) if self.before else None

    def piece(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def chances(self, job: Job, index: int, store: Store) -> BaseModel | None:
        return completion_logprobs(job, index, self.before, store)


@dataclass(frozen=True)
class TextAnswer(Answer):
    """One request whose job was accepted."""

    wording: InChat | InCompletion

    async def respond(self) -> Response:
        """The reply, or a stream, as was asked."""
        if self.wording.asked.stream and not await self.is_refused():
            return stream_from_snapshot(self, Writing(self.job, self.wording, self.store))
        return await self.once_ended(self._whole)

    @property
    def names(self) -> Mapping[str, str]:
        return self.wording.asked.names

    @property
    def store(self) -> Store:
        return self.submitter.store.backend

    async def _whole(self, job: Job) -> Response:
        reply = await self.submitter.store.run(self.wording.whole, job, self.store)
        return json_reply(reply, headers=self.headers)


@dataclass
class Writing:
    """A stream of chunks, or what one of several jobs adds to a stream."""

    job: Job
    wording: InChat | InCompletion
    store: Store
    shown: Job | None = None  # the job whose id the chunks have, if it is another
    first_index: int = 0  # of its choices in the stream
    pieces: ItemTexts = field(default_factory=ItemTexts)
    broken: bool = False  # it can't be gone on with: other words were written meanwhile
    parsers: dict[int, ToolCallParser] = field(default_factory=dict)  # of answers that call tools

    def begun(self) -> Iterator[bytes]:
        opening = self.wording.opening()
        if opening is not None:
            for index in range(self.job.input["n"]):
                yield self._chunk(index, opening)

    def on_the_way(self, event: Event) -> Iterator[bytes]:
        data = json.loads(event.data)
        if self.broken or data.get("status") == "expired":  # an error follows, and nothing else
            return
        try:
            for index, text in self.pieces.take(event.name, data):
                for choice in self._choices(index, text):
                    yield self._chunk(index, choice)
        except TextChanged:
            self.broken = True

    def completed(self, job: Job) -> Iterator[bytes]:
        yield from self.ended(job)
        yield from self.closing([job])

    def ended(self, job: Job) -> Iterator[bytes]:
        """What is left to tell of its choices. Blocks. Raises AtelierError, StoreError."""
        if self.broken:
            message = f"its worker was lost, and another wrote other words: {job.id} has them"
            raise AtelierError(message, code="worker_lost")
        nothing = self.wording.piece("")
        for output in texts(job):
            parser = self.parsers.get(output.index, ToolCallParser())
            for piece in parser.end():
                yield self._chunk(output.index, self._delta(output.index, piece))
            chances = self.wording.chances(job, output.index, self.store)
            if chances is not None:
                yield self._chunk(output.index, nothing, logprobs=chances.model_dump())
            finish = chat_finish(output, parser.calls > 0)
            yield self._chunk(output.index, nothing, finish_reason=finish)

    def closing(self, jobs: Sequence[Job]) -> Iterator[bytes]:
        """The end of the stream, with what all of its jobs took."""
        if self.wording.asked.wants_usage:
            yield self._sent([], usage=usage_of_all(jobs).model_dump())
        yield DONE

    def failed(self, error: AtelierError) -> bytes:
        return format_sse_event(data_str=error.body.model_dump_json())

    def _choices(self, index: int, text: str) -> Iterator[dict[str, Any]]:
        """What a piece of an answer's text brings of its content and calls."""
        if not calls_tools(self.job):
            yield self.wording.piece(text)
            return
        for piece in self.parsers.setdefault(index, ToolCallParser()).take(text):
            yield self._delta(index, piece)

    def _delta(self, index: int, piece: Piece) -> dict[str, Any]:
        if isinstance(piece, ContentPiece):
            return self.wording.piece(piece.text)
        function: dict[str, Any] = {"arguments": piece.arguments}
        call: dict[str, Any] = {"index": piece.number, "function": function}
        if piece.name is not None:
            function["name"] = piece.name
            call |= {"id": call_id(self.job, index, piece.number), "type": "function"}
        return {"delta": {"tool_calls": [call]}}

    def _chunk(self, index: int, choice: dict[str, Any], **more: Any) -> bytes:
        empty = {"logprobs": None, "finish_reason": None}
        return self._sent([{"index": self.first_index + index, **choice, **empty, **more}])

    def _sent(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        usage = {"usage": None} if self.wording.asked.wants_usage else {}
        named = self.wording.asked.named(self.shown or self.job)
        chunk = {**front(named, self.wording.prefix), "object": self.wording.kind}
        chunk |= {"choices": choices, **usage, **more}
        return format_sse_event(data_str=json.dumps(chunk))
