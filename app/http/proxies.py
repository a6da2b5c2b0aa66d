"""What a trusted proxy says of the request it passes on: scheme, host and path prefix.

1. Only `ATELIER_TRUSTED_PROXIES` are believed: anyone can send these headers.
2. The first value counts where a chain of proxies appended theirs; the outermost must replace
   what its clients sent.
3. A proxy strips the prefix that it names in `X-Forwarded-Prefix`.
"""

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import InvalidRequest
from app.core.job_record import url_prefix
from app.core.sites import split_host
from app.http.exception_handlers import respond

PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
SHOWN = 100  # characters of a header that a message repeats


class Proxies:
    """Makes a request look as it did to the proxy, so that URLs are right on its outside."""

    def __init__(self, app: ASGIApp, trusted: Collection[str]) -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            url_prefix.set("")  # a pipelined request inherits the context of the one before
            if self._is_trusted(scope):
                try:
                    _rewrite(scope)
                except InvalidRequest as error:
                    await respond(error)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        try:
            address = ipaddress.ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._trusted)


def _rewrite(scope: Scope) -> None:
    headers = MutableHeaders(scope=scope)
    if scheme := _first(headers, "x-forwarded-proto"):
        if scheme not in ("http", "https"):
            raise _unusable("X-Forwarded-Proto", scheme)
        scope["scheme"] = scheme
    if host := _first(headers, "x-forwarded-host"):
        try:
            split_host(host)
        except ValueError:
            raise _unusable("X-Forwarded-Host", host) from None
        headers["host"] = host
    if prefix := _first(headers, "x-forwarded-prefix"):
        if not PREFIX.fullmatch(prefix):
            raise _unusable("X-Forwarded-Prefix", prefix)
        _put_under(prefix.rstrip("/"), scope)


def _first(headers: Headers, name: str) -> str:
    return headers.get(name, "").partition(",")[0].strip()


def _put_under(prefix: str, scope: Scope) -> None:
    """As the ASGI specification has it: `path` is the whole path, `root_path` its beginning."""
    scope["root_path"] = prefix
    scope["path"] = f"{prefix}{scope['path']}"
    scope["raw_path"] = prefix.encode() + scope.get("raw_path", b"")
    url_prefix.set(prefix)


def _unusable(name: str, value: str) -> InvalidRequest:
    return InvalidRequest(f"{name} can't be used: {value[:SHOWN]}", param=name)


def route_path(scope: Scope) -> str:
    """The path that routes know, without a proxy's prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
