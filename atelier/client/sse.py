"""Server-sent events without I/O: a parser by the letter of the WHATWG, and a reader that goes on.

1. A line ends in CR LF, LF or CR, wherever the pieces of the stream are cut.
2. An event is sent by an empty line; what a broken stream leaves unfinished is dropped, id too.
3. `data` lines are joined by newlines; an event without one is none.
4. An id lasts until the next; one that holds a NUL is ignored.
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

from atelier.client.errors import ConnectionFailed, Outcome, checked, pause_before_retry

ENDS = frozenset({"completed", "failed", "canceled"})  # the events that end a job
LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it was sent."""

    name: str
    text: str
    id: str


class EventParser:
    """Takes a stream in pieces of any size.

    `last_id` is what to send as Last-Event-ID after a drop; it moves when an event is complete,
    never before. Seconds to rest before that, if the server gave any, are in `retry`.
    """

    def __init__(self, last_id: str = "", retry: float = 0.0) -> None:
        self.last_id = last_id
        self.retry = retry
        self._id = last_id
        self._name = ""
        self._data: list[str] = []
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._begun = False
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The events that this piece completes."""
        text = self._decode(piece)
        if not self._begun and text:
            self._begun = True
            text = text.removeprefix("\ufeff")
        for line in self._lines(text):
            if line:
                self._take(line)
            elif message := self._dispatch():
                yield message

    def _lines(self, text: str) -> Iterator[str]:
        """Whole lines. An LF that opens a piece belongs to the CR that closed the one before."""
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

    def _take(self, line: str) -> None:
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
    """Something that happened to a job: status, progress, preview, output, delta, or its end."""

    name: str
    data: dict[str, Any]
    id: str


class Following:
    """A reader of a job's events over any number of connections: where it is, and what next.

    It gives up when connections break in a row, without a byte between, more often than `most`.
    """

    def __init__(self, most: int) -> None:
        self.ended = False
        self.pause = 0.0  # seconds to rest before the next connection
        self._most = most
        self._breaks = 0
        self._parser = EventParser()

    @property
    def headers(self) -> dict[str, str]:
        last = {"Last-Event-ID": self._parser.last_id} if self._parser.last_id else {}
        return {"Accept": "text/event-stream", **last}

    def opened(self, answer: httpx.Response) -> None:
        """Before the first piece of a connection; 204 says that all of it was seen.

        Raises ConnectionFailed for an answer that is not a stream of events.
        """
        self._parser = EventParser(self._parser.last_id, self._parser.retry)
        self.ended = answer.status_code == 204
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if not self.ended and kind != "text/event-stream":
            raise ConnectionFailed(f"{answer.url}: what answers there is not Atelier")

    def feed(self, piece: bytes) -> Iterator[Event]:
        self._breaks = 0
        for message in self._parser.feed(piece):
            self.ended = message.name in ENDS
            yield Event(message.name, json.loads(message.text), message.id)
            if self.ended:
                return

    def closed(self, outcome: Outcome) -> None:
        """After a connection. Raises APIError or ConnectionFailed where another is no use."""
        if self.ended:
            return
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            what = "the events ended before the job did"
            outcome = httpx.RemoteProtocolError(what, request=outcome.request)
        pause = pause_before_retry(outcome, self._breaks, self._most)
        if pause is None:
            checked(outcome)
            return
        self._breaks += 1
        self.pause = max(pause, self._parser.retry)
