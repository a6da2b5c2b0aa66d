"""Every error leaves in the one shape of `ErrorBody`; FastAPI's own never shows."""

import logging
from typing import Any

import redis
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from app.core.errors import (
    AtelierError,
    InvalidRequest,
    NotAllowed,
    NotFound,
    TooLarge,
    Unavailable,
    Unprocessable,
)
from app.core.scripts import away
from app.core.store import FileTooLarge, StoreError
from app.http.validation_errors import explain
from app.queue.jobs import OutcomeUnknown

log = logging.getLogger(__name__)

NO_SPACE = "No space left on device"  # in what a server says whose log can't be written
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def respond(error: AtelierError) -> Response:
    return Response(
        error.body.model_dump_json(), error.status, error.headers, media_type="application/json"
    )


def install(app: FastAPI) -> None:
    app.add_exception_handler(AtelierError, on_own)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(redis.RedisError, on_redis)
    app.add_exception_handler(StoreError, on_store)


async def on_own(request: Request, error: Exception) -> Response:
    if not isinstance(error, AtelierError):
        raise error
    return respond(error)


async def on_invalid(request: Request, error: Exception) -> Response:
    """A query or header that FastAPI refused; bodies are validated by their route."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [{**e, "loc": e["loc"][1:]} for e in error.errors()]
    return respond(explain(problems, _documented(request)))


def _documented(request: Request) -> dict[str, Any]:
    """The parameters of this route, as its document has them, in the shape of a body's schema.

    Of this route alone: the whole document takes most of a second.
    """
    route = request.scope["route"]
    paths = get_openapi(title="-", version="-", routes=[route])["paths"]
    parameters = paths[route.path_format][request.method.lower()].get("parameters", ())
    return {"properties": {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}}


async def on_http(request: Request, error: Exception) -> Response:
    """What Starlette raises: no such route, no such method, a form that can't be parsed."""
    if not isinstance(error, HTTPException):
        raise error
    match error.status_code:
        case 404:
            return respond(NotFound(f"there is nothing at {request.url.path[:200]}"))
        case 405:
            response = respond(NotAllowed(f"{request.method} is not allowed here"))
            response.headers["Allow"] = ", ".join(_allowed(request))
            return response
        case 413:
            return respond(TooLarge("the body is too large"))
        case 422:
            return respond(Unprocessable("the request is not valid"))
        case _:
            return respond(InvalidRequest("the request can't be parsed"))


def _allowed(request: Request) -> list[str]:
    """The methods that have a route at this path; one route's own are only some of them."""
    routes = request.app.routes
    scopes = [(m, {**request.scope, "method": m}) for m in METHODS]
    allowed = [m for m, scope in scopes if any(r.matches(scope)[0].value == 2 for r in routes)]
    return (
        [*allowed, "HEAD"] if "GET" in allowed else allowed
    )  # HeadRequests in app/http/middleware.py


async def on_redis(request: Request, error: Exception) -> Response:
    """Redis is away: the client may try again. A script's own error is ours, and a 500."""
    if isinstance(error, redis.ResponseError) and not away(error):
        raise error
    log.warning("redis is unavailable: %s", error)
    if isinstance(error, OutcomeUnknown):
        return _unresolved(error)
    if NO_SPACE in str(error):
        message = "the queue can't be written: the disk is full; try again"
        return respond(Unavailable(message, retry_after=5))
    return respond(Unavailable("the queue can't be reached; try again", retry_after=1))


def _unresolved(error: OutcomeUnknown) -> Response:
    message = "the queue did not answer in time; send the same request again to get its job"
    response = respond(Unavailable(message, retry_after=1))
    if error.key:
        response.headers["Idempotency-Key"] = error.key
    return response


async def on_store(request: Request, error: Exception) -> Response:
    if isinstance(error, FileTooLarge):
        return respond(TooLarge(str(error)))
    log.error("the artifact store failed: %s", error)
    message = f"artifacts can't be stored or read now: {error}; try again"
    return respond(Unavailable(message, code="store_unavailable", retry_after=5))
