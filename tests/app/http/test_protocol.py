"""Connections that are too many, silent or slow: others are served all the same."""

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.core.settings import Settings
from app.http.protocol import RESERVED, WRITE_TIME, ConnectionLimits, Connections, affordable
from tests.app.queue.test_jobs import make
from tests.app.serving import serving

MOST = 8
LIMITS = ConnectionLimits(MOST, header_time=10, body_time=30)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
LARGE = 20_000_000  # bytes: more than the system takes of an answer that nobody reads


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with how long the body was; /large with much, /early without reading the body."""
    if scope["path"] == "/early":
        await Response(status_code=401)(scope, receive, send)
    elif scope["path"] == "/large":
        await Response(bytes(LARGE))(scope, receive, send)
    else:
        with suppress(ClientDisconnect):
            body = await Request(scope, receive).body()
            await Response(str(len(body)))(scope, receive, send)


class Clients:
    """Clients of a server, which ticks when a test says so."""

    def __init__(self, connections: Connections, port: int) -> None:
        self.connections = connections
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        writer.write(data)
        await asyncio.sleep(0.02)
        return reader, writer

    def tick(self, seconds: int) -> None:
        for _ in range(seconds):
            self.connections.tick(1.0)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def clients_of_a_server() -> AsyncIterator[Clients]:
    connections = Connections(LIMITS)
    config = uvicorn.Config(echo, http=connections.protocol, lifespan="off", log_config=None)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()

    def protocol() -> asyncio.Protocol:
        instance: asyncio.Protocol = connections.protocol(
            config=config, server_state=state, app_state={}, _loop=loop
        )
        return instance

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    clients = Clients(connections, server.sockets[0].getsockname()[1])
    try:
        yield clients
    finally:
        clients.close()
        server.close()
        await asyncio.sleep(0.02)


def with_clients(test: Callable[[Clients], Awaitable[None]]) -> None:
    async def run() -> None:
        async with clients_of_a_server() as clients, asyncio.timeout(30):
            await test(clients)

    asyncio.run(run())


async def status(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """The status of the next answer, and the error in it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r")[0])
    body = await reader.readexactly(length)
    code = int(head.split()[1])
    return code, json.loads(body)["error"] if code >= 400 and body else body


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        return True


def test_silent_connections_give_way_to_new_ones() -> None:
    async def test(clients: Clients) -> None:
        silent = [(await clients.open())[0] for _ in range(3 * MOST)]
        reader, _ = await clients.open(GET)
        assert await status(reader) == (200, b"0")
        assert all([await ended(x) for x in silent[: 2 * MOST]])
        assert not silent[-1].at_eof()

    with_clients(test)


def test_busy_connections_stay_and_the_newest_is_refused() -> None:
    async def test(clients: Clients) -> None:
        busy = [await clients.open(POST) for _ in range(MOST)]
        code, error = await status((await clients.open())[0])
        assert (code, error["code"]) == (503, "too_many_connections")
        for reader, writer in busy:
            writer.write(bytes(1_000_000))
            assert await status(reader) == (200, b"1000000")
        assert await status((await clients.open(GET))[0]) == (200, b"0")

    with_clients(test)


def test_an_answered_connection_gives_way_whatever_it_still_sends() -> None:
    async def test(clients: Clients) -> None:
        early = POST.replace(b"/ ", b"/early ")
        for _ in range(MOST):
            assert (await status((await clients.open(early))[0]))[0] == 401
        assert await status((await clients.open(GET))[0]) == (200, b"0")

    with_clients(test)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_headers_have_their_time(begun: bytes) -> None:
    async def test(clients: Clients) -> None:
        reader, writer = await clients.open(begun)
        clients.tick(9)
        writer.write(b"X-" if begun else b"")
        await asyncio.sleep(0.02)
        assert not reader.at_eof()
        clients.tick(2)
        if begun:
            code, error = await status(reader)
            assert (code, error["code"]) == (408, "request_timeout")
        assert await ended(reader)

    with_clients(test)


def test_a_body_has_its_time_and_more_the_more_of_it_comes() -> None:
    async def test(clients: Clients) -> None:
        reader, writer = await clients.open(POST)
        clients.tick(29)
        writer.write(bytes(200_000))  # twenty seconds more
        await asyncio.sleep(0.1)
        clients.tick(20)
        assert not reader.at_eof()
        clients.tick(3)
        code, error = await status(reader)
        assert (code, error["code"]) == (408, "request_timeout")
        assert await ended(reader)

    with_clients(test)


def test_a_body_that_nobody_reads_any_more_has_its_time_too() -> None:
    async def test(clients: Clients) -> None:
        reader, _ = await clients.open(POST.replace(b"/ ", b"/early "))
        assert (await status(reader))[0] == 401
        clients.tick(31)
        assert await ended(reader)

    with_clients(test)


def test_a_second_request_has_its_own_time() -> None:
    async def test(clients: Clients) -> None:
        reader, writer = await clients.open(GET)
        clients.tick(9)
        writer.write(GET)
        await asyncio.sleep(0.02)
        clients.tick(9)
        for _ in range(2):
            assert await status(reader) == (200, b"0")

    with_clients(test)


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    async def test(clients: Clients) -> None:
        reader, _ = await clients.open(GET.replace(b"/ ", b"/large "))
        await asyncio.sleep(0.2)
        clients.tick(int(WRITE_TIME) + 2)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(LARGE)

    with_clients(test)


def test_what_is_no_http_has_the_shape_of_every_error() -> None:
    async def test(clients: Clients) -> None:
        code, error = await status((await clients.open(b"nonsense\r\n\r\n"))[0])
        assert (code, error["code"]) == (400, "invalid_parameter")

    with_clients(test)


def test_a_service_is_reached_past_a_crowd_of_silent_connections(settings: Settings) -> None:
    changed = settings.model_copy(update={"max_connections": 20})
    with ExitStack() as crowd, serving(changed) as running:
        host, _, port = running.url.removeprefix("http://").partition(":")
        for _ in range(60):
            crowd.enter_context(socket.create_connection((host, int(port)), timeout=10))
        assert running.client.get("/livez").status_code == 200
        assert make(running.client)


def test_no_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 1_000_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert affordable(1000) == 1000
    assert limits[-1] == (1000 + RESERVED, 1_000_000)
    limits[-1] = (1024, 1024)
    assert affordable(1000) == 1024 - RESERVED
    limits[-1] = (100, 100)
    assert affordable(1000) == 16
