"""A message piece by piece, as Anthropic's streams have it: its blocks open, grow and close in
order, and the reason why it ended comes last."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi.sse import format_sse_event

from app.anthropic.message_errors import translated
from app.anthropic.response import (
    ReplyText,
    ReplyToolUse,
    beginning_of,
    blocks_of,
    message_usage,
    stop_of,
    tool_use_id,
)
from app.core.errors import AtelierError
from app.core.schemas import Job
from app.core.text_assembly import ItemTexts, TextChanged
from app.openai.text.response import calls_tools, texts
from app.queue.event_log import Event
from models.params.function_calls import ContentPiece, Piece, ToolCallParser


@dataclass
class MessageEvents:
    """The events of one stream."""

    job: Job
    pieces: ItemTexts = field(default_factory=ItemTexts)
    parser: ToolCallParser = field(default_factory=ToolCallParser)
    blocks: int = 0  # that were opened; the last of them may be open still
    is_open: bool = False
    broken: bool = False  # it can't be gone on with: other words were written meanwhile

    def begun(self) -> Iterator[bytes]:
        yield _event("message_start", message=beginning_of(self.job).model_dump(mode="json"))

    def on_the_way(self, event: Event) -> Iterator[bytes]:
        data = json.loads(event.data)
        if self.broken or data.get("status") == "expired":  # an error follows, and nothing else
            return
        try:
            for _, text in self.pieces.take(event.name, data):
                pieces = self.parser.take(text) if calls_tools(self.job) else [ContentPiece(text)]
                for piece in pieces:
                    yield from self._piece(piece)
        except TextChanged:
            self.broken = True

    def completed(self, job: Job) -> Iterator[bytes]:
        if self.broken:
            message = f"its worker was lost, and another wrote other words: {job.id} has them"
            raise AtelierError(message, code="worker_lost")
        for piece in self.parser.end():
            yield from self._piece(piece)
        yield from self._close()
        output = next(iter(texts(job)), None)
        content = [] if output is None else blocks_of(job, output)
        usage = message_usage(job).model_dump()
        yield _event("message_delta", delta=stop_of(output, content), usage=usage)
        yield _event("message_stop")

    def failed(self, error: AtelierError) -> bytes:
        body = translated(error.status, error.body.error.model_dump())
        return format_sse_event(data_str=json.dumps(body), event="error")

    def _piece(self, piece: Piece) -> Iterator[bytes]:
        if isinstance(piece, ContentPiece):
            if not piece.text:
                return
            if not self.is_open:
                yield from self._open(ReplyText(text=""))
            yield self._delta(type="text_delta", text=piece.text)
        elif piece.name is not None:
            yield from self._close()
            call = ReplyToolUse(id=tool_use_id(self.job, piece.number), name=piece.name, input={})
            yield from self._open(call)
        elif piece.arguments:
            yield self._delta(type="input_json_delta", partial_json=piece.arguments)

    def _open(self, block: ReplyText | ReplyToolUse) -> Iterator[bytes]:
        yield _event("content_block_start", index=self.blocks, content_block=block.model_dump())
        self.blocks, self.is_open = self.blocks + 1, True
        if self.blocks == 1:
            yield _event("ping")

    def _delta(self, **delta: Any) -> bytes:
        return _event("content_block_delta", index=self.blocks - 1, delta=delta)

    def _close(self) -> Iterator[bytes]:
        if self.is_open:
            yield _event("content_block_stop", index=self.blocks - 1)
        self.is_open = False


def _event(kind: str, **fields: Any) -> bytes:
    return format_sse_event(data_str=json.dumps({"type": kind, **fields}), event=kind)
