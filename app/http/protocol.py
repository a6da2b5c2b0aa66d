"""uvicorn's HTTP protocol, with limits on how many connections there are and how slow they may be.

1. While nobody's request is in progress on a connection, it may be closed for a newer one: when
   there are too many, the one goes that has waited longest. Where all are busy, the newest is
   refused.
2. Only time in which the client is waited for counts: not while the service itself reads no more.
   It is counted in ticks of the server's loop, so a process that was stopped accuses nobody.
3. A body may take longer the more of it has come, so that a slow line can send a large file.
4. A client that takes nothing of its answer is cut off as well, late, since players pause.
"""

import logging
import resource
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.core.errors import AtelierError, InvalidRequest, RequestTimeout, Unavailable
from app.http.exception_handlers import respond
from app.http.middleware import SECURITY

log = logging.getLogger("atelier.http")

BACKLOG = 128  # connections that the system queues, and that are accepted at once
RESERVED = 400  # files that a process needs besides: Redis, the store, the backlog, logs
FEWEST = 16  # connections, however few files the system allows
BODY_RATE = 10_000  # bytes of a body that give it a second more
WRITE_TIME = 300.0  # seconds in which a client takes nothing of its answer


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections, and the seconds for a request's headers and for its body."""

    connections: int
    header_time: float
    body_time: float


def affordable(connections: int) -> int:
    """As many connections as the limit on open files allows; raises that as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= wanted:
        return connections
    fewer = max(FEWEST, soft - RESERVED)
    log.warning("%d open files allow %d connections, not %d", soft, fewer, connections)
    return fewer


class Connections:
    """The open connections of a server."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._open: set[LimitedProtocol] = set()
        self._idle: dict[LimitedProtocol, None] = {}  # the one that has waited longest first

    @property
    def protocol(self) -> Any:
        """What makes the protocol of a new connection, as uvicorn's Config takes it."""
        return partial(LimitedProtocol, self)

    def add(self, connection: "LimitedProtocol") -> None:
        self._open.add(connection)
        if len(self._open) > self.limits.connections:
            self._make_room(connection)
        if connection in self._open:
            self._idle[connection] = None

    def remove(self, connection: "LimitedProtocol") -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def set_idle(self, connection: "LimitedProtocol", idle: bool) -> None:
        if not idle:
            self._idle.pop(connection, None)
        elif connection in self._open:
            self._idle.setdefault(connection)

    def tick(self, seconds: float) -> None:
        """So much time has passed: close what took too long."""
        for connection in tuple(self._open):
            connection.tick(seconds)

    def _make_room(self, newest: "LimitedProtocol") -> None:
        stalled = (x for x in self._open if x.unsent_for >= self.limits.header_time)
        oldest = next(iter(self._idle), None) or next(stalled, None)
        if oldest is None:
            newest.refuse(Unavailable("too many connections", code="too_many_connections"))
            self.remove(newest)
        else:
            self.remove(oldest)
            oldest.transport.abort()


class LimitedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._connections = connections
        self._phase: tuple[Any, Any] = (h11.IDLE, None)
        self._waited = 0.0  # seconds for the client, in this phase
        self._received = 0  # bytes, in this phase
        self._unsent = 0  # bytes of answers that the system has not taken
        self.unsent_for = 0.0  # seconds

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        self._note_phase()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note_phase()

    def send_400_response(self, msg: str) -> None:
        self.refuse(InvalidRequest("the request is not valid HTTP"))

    def tick(self, seconds: float) -> None:
        """So much time has passed: close the connection if that was too long for its client."""
        unsent = self.transport.get_write_buffer_size()
        self.unsent_for = self.unsent_for + seconds if unsent and unsent == self._unsent else 0.0
        self._unsent = unsent
        limits, closing = self._connections.limits, self.transport.is_closing()
        if self.unsent_for > (limits.header_time if closing else WRITE_TIME):
            self.transport.abort()
        state = self.conn.their_state
        if closing or self.flow.read_paused or state not in (h11.IDLE, h11.SEND_BODY):
            return
        self._waited += seconds
        body_time = limits.body_time + self._received / BODY_RATE
        if self._waited > (limits.header_time if state is h11.IDLE else body_time):
            self._time_out(state is h11.IDLE)

    def refuse(self, error: AtelierError) -> None:
        """Answer with an error, if no answer has begun, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        response = respond(error)
        own = {**SECURITY, "x-request-id": f"req_{secrets.token_hex(12)}", "connection": "close"}
        response.headers.update(own)
        start = h11.Response(status_code=error.status, headers=response.raw_headers)
        for event in (start, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _note_phase(self) -> None:
        """Begin counting anew where a request, its body or the wait for the next has begun."""
        phase = (self.conn.their_state, self.cycle)
        if phase != self._phase:
            self._phase, self._waited, self._received = phase, 0.0, 0
        done = self.cycle is None or self.cycle.response_complete
        self._connections.set_idle(self, done)

    def _time_out(self, in_headers: bool) -> None:
        awaited = "headers" if in_headers else "body"
        log.info("a client was too slow", extra={"part": awaited, "bytes": self._received})
        if in_headers and not self._received:
            self.transport.close()
        else:
            self.refuse(RequestTimeout(f"the {awaited} of the request took too long"))
