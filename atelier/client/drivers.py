"""The two drivers: they carry out the steps of flows, blocking or with asyncio."""

import asyncio
import math
import os
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager, suppress
from typing import Any, Self, TypeVar

import httpx

from atelier.client.flows import Block, Emit, Pause, Receive, Send, Step, Stream, ValueStream

T = TypeVar("T")

LOCAL = "http://127.0.0.1:8000"
QUIET = 45.0  # seconds without a byte, three keepalives, after which a connection is dead


class Driver:
    """Runs flows with an `httpx.Client`; a context manager. Threads may share it."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30,
        max_retries: int = 3,
    ) -> None:
        """`timeout`, in seconds, limits each call. It does not limit the wait for a job."""
        self.max_retries = max_retries
        self._http = httpx.Client(
            base_url=_address(base_url), headers=_key_header(api_key), timeout=timeout
        )

    def run(self, flow: ValueStream[T], timeout: float | None = None) -> T:
        """Returns what a flow returns. Raises TimeoutError after `timeout` seconds."""
        with _Connection(self._http, timeout) as connection, closing(flow):
            outcome = None
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as end:
                    result: T = end.value
                    return result
                outcome = connection.perform(step)

    def iterate(self, stream: Stream[T]) -> Generator[T, None, None]:
        """Yields the items that a stream emits."""
        with _Connection(self._http) as connection, closing(stream), suppress(StopIteration):
            outcome = None
            while True:
                step = stream.send(outcome)
                if isinstance(step, Emit):
                    yield step.item
                outcome = connection.perform(step)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncDriver:
    """Runs flows with an `httpx.AsyncClient`; an asynchronous context manager."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30,
        max_retries: int = 3,
    ) -> None:
        """`timeout`, in seconds, limits each call. It does not limit the wait for a job."""
        self.max_retries = max_retries
        self._http = httpx.AsyncClient(
            base_url=_address(base_url), headers=_key_header(api_key), timeout=timeout
        )

    async def run(self, flow: ValueStream[T], timeout: float | None = None) -> T:
        """Returns what a flow returns. Raises TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout), _AsyncConnection(self._http) as connection:
            with closing(flow):
                outcome = None
                while True:
                    try:
                        step = flow.send(outcome)
                    except StopIteration as end:
                        result: T = end.value
                        return result
                    outcome = await connection.perform(step)

    async def iterate(self, stream: Stream[T]) -> AsyncGenerator[T, None]:
        """Yields the items that a stream emits."""
        async with _AsyncConnection(self._http) as connection:
            with closing(stream), suppress(StopIteration):
                outcome = None
                while True:
                    step = stream.send(outcome)
                    if isinstance(step, Emit):
                        yield step.item
                    outcome = await connection.perform(step)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Connection(ExitStack):
    """Carries out the steps of one flow, and closes the response that it left open."""

    def __init__(self, http: httpx.Client, timeout: float | None = None) -> None:
        super().__init__()
        self._http = http
        self._deadline = math.inf if timeout is None else time.monotonic() + timeout
        self._chunks: Iterator[bytes] = iter(())

    def perform(self, step: Step | Emit[Any]) -> Any:
        """Returns the outcome of a step. Raises TimeoutError at the deadline."""
        match step:
            case Pause(seconds):
                time.sleep(min(seconds, _seconds_left(self._deadline)))
            case Block(function):
                return function()
            case Send() | Receive():
                try:
                    return self._exchange(step)
                except httpx.TransportError as error:
                    _seconds_left(self._deadline)  # its limits may be why the call broke
                    return error
        return None

    def _exchange(self, step: Send | Receive) -> httpx.Response | bytes | None:
        if isinstance(step, Receive):
            return next(self._chunks, None)
        if not step.streamed:
            return self._http.send(_request(self._http, step))
        self.close()
        seconds = _seconds_left(self._deadline)
        response = self._http.send(_request(self._http, step, seconds), stream=True)
        self.callback(response.close)
        self.enter_context(_hang_up_after(response, seconds))
        if not response.is_success:
            response.read()
        self._chunks = response.iter_bytes()
        return response


class _AsyncConnection(AsyncExitStack):
    """Carries out the steps of one flow, and closes the response that it left open."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._http = http
        self._chunks: AsyncIterator[bytes]

    async def perform(self, step: Step | Emit[Any]) -> Any:
        """Returns the outcome of a step."""
        match step:
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Block(function):
                return await asyncio.to_thread(function)
            case Send() | Receive():
                try:
                    return await self._exchange(step)
                except httpx.TransportError as error:
                    return error
        return None

    async def _exchange(self, step: Send | Receive) -> httpx.Response | bytes | None:
        if isinstance(step, Receive):
            return await anext(self._chunks, None)
        if not step.streamed:
            return await self._http.send(_request(self._http, step))
        await self.aclose()
        response = await self._http.send(_request(self._http, step), stream=True)
        self.push_async_callback(response.aclose)
        if not response.is_success:
            await response.aread()
        self._chunks = response.aiter_bytes()
        return response


def _request(
    http: httpx.Client | httpx.AsyncClient, step: Send, seconds: float = math.inf
) -> httpx.Request:
    """A stream may be silent up to QUIET, and its limits end with `seconds`."""
    timeout = http.timeout
    if step.streamed:
        start = min(seconds, QUIET if timeout.connect is None else timeout.connect)
        timeout = httpx.Timeout(start, read=min(seconds, QUIET))
    return http.build_request(
        step.method,
        step.path,
        content=step.content,
        headers=step.headers,
        params=step.query,
        timeout=timeout,
    )


def _address(base_url: str | None) -> str:
    return base_url or os.environ.get("ATELIER_URL") or LOCAL


def _key_header(api_key: str | None) -> dict[str, str]:
    key = api_key or os.environ.get("ATELIER_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _seconds_left(deadline: float) -> float:
    """Raises TimeoutError if there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


@contextmanager
def _hang_up_after(response: httpx.Response, seconds: float) -> Generator[None, None, None]:
    """Ends the connection at the deadline: httpx limits each read, not all of them together."""
    stream = response.extensions.get("network_stream")
    if stream is None or seconds >= threading.TIMEOUT_MAX:
        yield
        return
    timer = threading.Timer(seconds, _hang_up, [stream.get_extra_info("socket")])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side has closed it
        connection.shutdown(socket.SHUT_RDWR)
