"""What surrounds every request, as plain ASGI: its id, its log line, its headers and its limits.

RequestContext ── counts, logs and answers what nobody else caught with a 500
└── BodyLimit ── refuses a body beyond its route's limit, whether or not a length is given
    └── HeadRequests ── answers HEAD as GET would be, without a body

Between the first two come the checks of `app/http/origins.py` and `app/http/proxies.py`.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import AtelierError, TooLarge
from app.core.log import request_id
from app.http.exception_handlers import respond
from app.http.proxies import route_path
from app.metrics import Metrics

log = logging.getLogger("atelier.http")

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
LEFT = 499  # in the log: the client left before an answer
LINGER = 5.0  # seconds that a refused body is still read, so that the client reads the answer
PROBES = ("/livez", "/readyz")  # asked many times a minute: what they find is logged elsewhere
SECURITY = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}


class RequestContext:
    """An id, a log line, figures and security headers for every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        own = asked if SANE_ID.fullmatch(asked) else f"req_{secrets.token_hex(12)}"
        request_id.set(own)
        started, status = time.perf_counter(), LEFT

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = own
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # the log line below says 499
        except Exception:
            log.exception("the request failed", extra={"path": scope["path"]})
            if status == LEFT:
                await _broken(scope)(scope, receive, send_with_headers)
            else:
                raise  # the answer has begun: cutting the connection is all that tells
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        name = route.path_format if isinstance(route, APIRoute) else "none"
        self._metrics.requests.labels(scope["method"], name, str(status)).observe(seconds)
        log.log(
            logging.DEBUG if scope["path"] in PROBES else logging.INFO,
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * seconds, 1),
                "owner": scope.get("state", {}).get("owner"),
            },
        )


def _broken(scope: Scope) -> ASGIApp:
    """The answer to an error of ours. Once a job is accepted, trying again would make another."""
    response = respond(AtelierError("something went wrong here; it has been logged"))
    if scope.get("state", {}).get("accepted"):
        response.headers["x-should-retry"] = "false"
    return response


@dataclass(frozen=True)
class BodyLimits:
    """The largest body of a request, in bytes: for most routes, and for some by path."""

    usual: int
    by_path: Mapping[str, int]

    def of(self, path: str) -> int:
        return self.by_path.get(path, self.usual)


class _Beyond(Exception):
    """More of a body came than its limit; the app can't mistake it for an error of its own."""


class BodyLimit:
    """Refuses a body that is too large: at once where it says so, else while it comes."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.of(route_path(scope))
        length = Headers(scope=scope).get("content-length", "0")
        refusal = TooLarge(f"the body must have at most {limit} bytes")
        seen, started = 0, False

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _Beyond
            return message

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        if length.isdecimal() and int(length) > limit:
            await _refuse(refusal, receive, send)
            return
        try:
            await self._app(scope, receive_counted, send_noted)
        except _Beyond:
            if started:
                raise
            await _refuse(refusal, receive, send)


async def _refuse(error: TooLarge, receive: Receive, send: Send) -> None:
    """Answer, then read what still comes for a while: a reset would take the answer with it."""
    response = respond(error)
    headers = response.raw_headers
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    try:
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        log.info("a body that was refused kept coming", extra={"seconds": LINGER})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Answered(Exception):
    """The headers have been sent, and nothing follows; the app can't mistake it for its own."""


class HeadRequests:
    """Answers HEAD on every GET route, with GET's headers. No stream is begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_start(message: Message) -> None:
            await send(message)
            raise _Answered

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_start)
        except _Answered:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            scope["method"] = "HEAD"
