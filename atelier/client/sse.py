"""Server-sent events without I/O: a parser by the WHATWG's rules, and a reader that reconnects.

1. A line ends in CR LF, LF or CR, wherever the chunks of the stream are cut.
2. An empty line completes an event. An event that a broken stream leaves incomplete is dropped,
   with its id.
3. `data` lines are joined by newlines. A block without one is no event.
4. An id lasts until the next. One that contains a NUL is ignored.
5. `retry` counts if it is all digits; comments and unknown fields are ignored.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from atelier.client.errors import Outcome
from atelier.client.flows import StreamReader

ENDS = frozenset({"completed", "failed", "canceled"})  # the events that end a job
LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it was sent."""

    name: str
    text: str
    id: str


class EventParser:
    """Parses a stream in chunks of any size.

    `last_id` is the Last-Event-ID to send after a drop. It changes only when an event is complete.
    `retry` is how many seconds the server asks to wait before that.
    """

    def __init__(self, last_id: str = "", retry: float = 0.0) -> None:
        self.last_id = last_id
        self.retry = retry
        self._id = last_id
        self._name = ""
        self._data: list[str] = []
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._started = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Yields the events that a chunk completes."""
        text = self._decode(chunk)
        if not self._started and text:
            self._started = True
            text = text.removeprefix("\ufeff")
        for line in self._lines(text):
            if line:
                self._parse(line)
            elif message := self._dispatch():
                yield message

    def _lines(self, text: str) -> Iterator[str]:
        """Yields whole lines. An LF that opens a chunk belongs to a CR that closed the last one."""
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        text = self._rest + text
        start = 0
        for end in LINE_END.finditer(text):
            self._after_cr = end[0] == "\r" and end.end() == len(text)
            yield text[start : end.start()]
            start = end.end()
        self._rest = text[start:]

    def _parse(self, line: str) -> None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value) / 1000

    def _dispatch(self) -> Message | None:
        self.last_id = self._id
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        return Message(name, "\n".join(data), self._id) if data else None


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a job: status, progress, preview, output, delta, or its end."""

    name: str
    data: dict[str, Any]
    id: str


class EventReader(StreamReader[Event]):
    """The position in a job's events."""

    content_type = "text/event-stream"

    def __init__(self, max_retries: int) -> None:
        super().__init__(max_retries)
        self._parser = EventParser()

    @property
    def headers(self) -> dict[str, str]:
        last = {"Last-Event-ID": self._parser.last_id} if self._parser.last_id else {}
        return {"Accept": self.content_type, **last}

    def opened(self, response: httpx.Response) -> None:
        """A response without content, 204, says that all events were seen."""
        self._parser = EventParser(self._parser.last_id, self._parser.retry)
        self.ended = response.status_code == 204
        if not self.ended:
            super().opened(response)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        self._failures = 0
        for message in self._parser.feed(chunk):
            self.ended = message.name in ENDS
            yield Event(message.name, json.loads(message.text), message.id)
            if self.ended:
                return

    def closed(self, outcome: Outcome) -> None:
        if self.ended:
            return
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            reason = "the events ended before the job did"
            outcome = httpx.RemoteProtocolError(reason, request=outcome.request)
        super().closed(outcome)
        self.pause = max(self.pause, self._parser.retry)
