"""The client's logic without I/O: generators that yield a step and receive its outcome.

A flow yields a `Send` and receives an `httpx.Response`, or the `httpx.TransportError` in its place.
The drivers in `drivers.py` run flows, one by an `httpx.Client` and one by an `httpx.AsyncClient`,
as httpx itself runs an `auth_flow`. A flow returns a value; a stream emits items as well.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

import httpx

from atelier.client.errors import (
    ConnectionFailed,
    Outcome,
    check_outcome,
    parse_json,
    pause_before_retry,
)

T = TypeVar("T")
U = TypeVar("U")

Query = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Send:
    """Sends a request. The outcome is the response, or the error that prevented it.

    The body of a `streamed` response is left to `Receive`, unless the status is an error's.
    """

    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] | None = None
    query: Query | None = None
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Receive:
    """Receives the next chunk of the streamed response, None at its end, or the error."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits for a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Block:
    """Calls a function that reads or writes files. The outcome is its result."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Gives an item to the caller of a stream."""

    item: T


Step = Send | Receive | Pause | Block
Flow = Generator[Step, Any, T]
Stream = Generator[Step | Emit[T], Any, None]
ValueStream = Generator[Step | Emit[Any], Any, T]
"""Any flow: those that emit nothing are of this type too."""


def call(request: Send, max_retries: int) -> Flow[httpx.Response]:
    """Sends a request, again where that may help. Raises APIError, ConnectionFailed."""
    for attempt in count():
        outcome: Outcome = yield request
        pause = pause_before_retry(outcome, attempt, max_retries)
        if pause is None:
            return check_outcome(outcome)
        yield Pause(pause)
    raise AssertionError("unreachable")


def fetch_json(request: Send, max_retries: int) -> Flow[Any]:
    """Returns the parsed JSON of a call's response."""
    return parse_json((yield from call(request, max_retries)))


class StreamReader(Generic[T]):
    """The position in a stream that is read over any number of connections.

    It gives up when more than `max_retries` connections in a row break before their first byte.
    """

    content_type = ""

    def __init__(self, max_retries: int) -> None:
        self.ended = False
        self.pause = 0.0  # seconds before the next connection
        self._max_retries = max_retries
        self._failures = 0

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the next request."""
        return {}

    def opened(self, response: httpx.Response) -> None:
        """Starts a connection. Raises ConnectionFailed for a response of another content type."""
        content_type = response.headers.get("content-type", "").partition(";")[0].strip()
        if content_type != self.content_type:
            raise ConnectionFailed(f"{response.url}: what answers there is not Atelier")

    def feed(self, chunk: bytes) -> Iterator[T]:
        """Yields the items that a chunk completes and that were not yielded before."""
        raise NotImplementedError

    def closed(self, outcome: Outcome) -> None:
        """Ends a connection. Raises APIError or ConnectionFailed where another can't help."""
        pause = pause_before_retry(outcome, self._failures, self._max_retries)
        if pause is None:
            check_outcome(outcome)
            return
        self._failures += 1
        self.pause = pause


def receive(path: str, reader: StreamReader[T], transform: Callable[[T], Iterable[U]]) -> Stream[U]:
    """Emits what `transform` makes of each item of a stream, over as many connections as needed."""
    while not reader.ended:
        outcome: Outcome = yield Send("GET", path, headers=reader.headers, streamed=True)
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            reader.opened(outcome)
            while (chunk := (yield Receive())) is not None:
                if isinstance(chunk, httpx.TransportError):
                    outcome = chunk
                    break
                for item in reader.feed(chunk):
                    for result in transform(item):
                        yield Emit(result)
        reader.closed(outcome)
        if not reader.ended:
            yield Pause(reader.pause)
