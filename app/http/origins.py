"""Keeps pages of other sites from using this service through a visitor's browser.

Hosts ── without keys: answers only under names of this machine, so that no foreign name that
│        was rebound to its address (DNS rebinding) reaches it
└── Origins ── refuses what a page of another site asks for, unless its origin is allowed
    └── Cors ── lets pages of allowed origins read the answers

1. A browser says by `Sec-Fetch-Site` whose page asks. Old ones say only `Origin`.
2. A link on another site may be followed: a GET that navigates the whole tab. The other site can't
   read the answer, and no GET starts anything. Frames, pictures and scripts are refused.
3. Clients that are no browsers send neither header, and are served.
"""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import Forbidden, InvalidRequest, Misdirected
from app.core.sites import is_loopback, same_host, split_host
from app.http.exception_handlers import respond

SHOWN = 100  # characters of a header that a message repeats
EXPOSED = (
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "WWW-Authenticate",
    "x-job-id",
    "x-request-id",
    "x-should-retry",
    "x-understood",
)


class Hosts:
    """Answers 421 to a Host that is neither loopback nor listed."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_ours(host := Headers(scope=scope).get("host")):
            message = "a service without keys answers as localhost, and under the names that "
            message += f"ATELIER_ALLOWED_HOSTS lists; the Host was {(host or 'missing')[:SHOWN]}"
            await respond(Misdirected(message))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str | None) -> bool:
        try:
            name, _ = split_host(host or "")
        except ValueError:
            return False
        return is_loopback(name) or name in self._allowed


class Origins:
    """Answers 403 to what a page of another site asks for."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_foreign(scope, headers := Headers(scope=scope)):
            origin = headers.get("origin", "another site")[:SHOWN]
            message = f"pages of {origin} may not use this service; ATELIER_ALLOWED_ORIGINS lists"
            refusal = Forbidden(f"{message} the origins that may", code="origin_not_allowed")
            await respond(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin in self._allowed or site == "same-origin":
            return False
        if origin is not None:
            return not same_host(origin, headers.get("host", ""), scope["scheme"])
        return site not in (None, "none") and not _follows_a_link(scope, headers)


def _follows_a_link(scope: Scope, headers: Headers) -> bool:
    """Whether the answer will be a tab's whole page (law 2)."""
    mode, destination = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return scope["method"] in ("GET", "HEAD") and (mode, destination) == ("navigate", "document")


class Cors(CORSMiddleware):
    """CORS for allowed origins, whose refusals have the shape of every error."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=allowed,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,  # a public site that the user named may reach this machine
            expose_headers=EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        refusal = respond(InvalidRequest(bytes(answer.body).decode()))
        kept = {k: v for k, v in answer.headers.items() if k.startswith(("access-", "vary"))}
        refusal.headers.update(kept)
        return refusal
