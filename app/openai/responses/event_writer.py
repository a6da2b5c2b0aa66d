"""A response piece by piece, as OpenAI's streams have it: its items open, grow and close in order,
and the whole response comes at the end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi.sse import format_sse_event

from app.core.errors import AtelierError
from app.core.schemas import Job
from app.core.store import Store
from app.core.text_assembly import ItemTexts, TextChanged
from app.openai.responses.response import (
    FunctionCallItem,
    OutputMessage,
    OutputText,
    function_id,
    message_id,
    reply_of,
)
from app.openai.text.response import call_id, calls_tools, texts
from app.queue.event_log import Event
from models.params.function_calls import ContentPiece, Piece, ToolCallParser

Kind = Literal["message", "function_call"]


@dataclass
class OpenItem:
    """The item that is being written."""

    kind: Kind
    index: int
    call: int = 0  # its number among the calls
    name: str = ""
    text: str = ""  # or arguments


@dataclass
class ResponseEvents:
    """The events of one stream."""

    job: Job
    store: Store
    model: str
    pieces: ItemTexts = field(default_factory=ItemTexts)
    parser: ToolCallParser = field(default_factory=ToolCallParser)
    item: OpenItem | None = None
    items: int = 0
    number: int = 0  # of the next event
    broken: bool = False

    def begun(self) -> Iterator[bytes]:
        waiting = self.job.model_copy(update={"status": "in_progress", "outputs": []})
        response = reply_of(waiting, self.store, self.model).model_dump(mode="json")
        for kind in ("created", "in_progress"):
            yield self._event(f"response.{kind}", response=response)

    def on_the_way(self, event: Event) -> Iterator[bytes]:
        data = json.loads(event.data)
        if self.broken or data.get("status") == "expired":
            return
        try:
            for _, text in self.pieces.take(event.name, data):
                if calls_tools(self.job):
                    for piece in self.parser.take(text):
                        yield from self._piece(piece)
                else:
                    yield from self._piece(ContentPiece(text))
        except TextChanged:
            self.broken = True

    def completed(self, job: Job) -> Iterator[bytes]:
        if self.broken:
            message = f"its worker was lost, and another wrote other words: {job.id} has them"
            raise AtelierError(message, code="worker_lost")
        for piece in self.parser.end():
            yield from self._piece(piece)
        output = next(iter(texts(job)), None)
        if output is not None and not self.items:  # nothing was said
            yield from self._open(OpenItem("message", 0))
        reply = reply_of(job, self.store, self.model)
        yield from self._close(reply.status == "incomplete")
        name = f"response.{reply.status}"
        yield self._event(name, response=reply.model_dump(mode="json"))

    def failed(self, error: AtelierError) -> bytes:
        detail = error.body.error
        fields = {"code": detail.code, "message": detail.message, "param": detail.param}
        return self._event("error", **fields)

    def _piece(self, piece: Piece) -> Iterator[bytes]:
        if isinstance(piece, ContentPiece):
            if self.item is None:
                yield from self._open(OpenItem("message", self.items))
            yield from self._delta("output_text", piece.text, content_index=0, logprobs=[])
            return
        if piece.name is not None:
            yield from self._close(False)
            item = OpenItem("function_call", self.items, piece.number, piece.name)
            yield from self._open(item)
        elif piece.arguments:
            yield from self._delta("function_call_arguments", piece.arguments)

    def _open(self, item: OpenItem) -> Iterator[bytes]:
        self.item, self.items = item, self.items + 1
        shown = self._shown(item, "in_progress")
        if item.kind == "message":
            shown["content"] = []
        yield self._event("response.output_item.added", output_index=item.index, item=shown)
        if item.kind == "message":
            content_part = OutputText(text="").model_dump()
            yield self._event(
                "response.content_part.added", **self._location, content_index=0, part=content_part
            )

    def _delta(self, kind: str, text: str, **more: Any) -> Iterator[bytes]:
        assert self.item is not None
        self.item.text += text
        yield self._event(f"response.{kind}.delta", **self._location, delta=text, **more)

    def _close(self, is_cut: bool) -> Iterator[bytes]:
        item = self.item
        if item is None:
            return
        if item.kind == "message":
            at = {**self._location, "content_index": 0}
            yield self._event("response.output_text.done", **at, text=item.text, logprobs=[])
            content_part = OutputText(text=item.text).model_dump()
            yield self._event("response.content_part.done", **at, part=content_part)
        else:
            done = {"name": item.name, "arguments": item.text}
            yield self._event("response.function_call_arguments.done", **self._location, **done)
        shown = self._shown(item, "incomplete" if is_cut else "completed")
        yield self._event("response.output_item.done", output_index=item.index, item=shown)
        self.item = None

    @property
    def _location(self) -> dict[str, Any]:
        """Where the item is that is being written."""
        assert self.item is not None
        return {"item_id": self._id(self.item), "output_index": self.item.index}

    def _id(self, item: OpenItem) -> str:
        return message_id(self.job) if item.kind == "message" else function_id(self.job, item.call)

    def _shown(
        self, item: OpenItem, status: Literal["in_progress", "completed", "incomplete"]
    ) -> dict[str, Any]:
        if item.kind == "message":
            content = [OutputText(text=item.text)]
            message = OutputMessage(id=self._id(item), status=status, content=content)
            return message.model_dump(mode="json")
        call = FunctionCallItem(
            id=self._id(item),
            call_id=call_id(self.job, 0, item.call),
            name=item.name,
            arguments=item.text,
            status=status,
        )
        return call.model_dump(mode="json")

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": self.number, **fields}
        self.number += 1
        return format_sse_event(data_str=json.dumps(data), event=kind)
