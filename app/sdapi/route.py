"""How routes of this dialect differ from others: the shape of errors, and Basic authentication."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import redis
from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from app.core.errors import AtelierError
from app.core.schemas import Schema
from app.core.store import StoreError
from app.deps import ServicesDep
from app.http.exception_handlers import on_invalid, on_own, on_redis, on_store
from app.http.openapi_examples import Replies, errors
from app.http.openapi_schemas import portable


class DialectError(Schema):
    """An error in the web UI's words."""

    error: str = Field(description="The code, as in the errors of other routes.")
    detail: str = Field(description="What is wrong.")
    body: str = Field(description="The field that is wrong, if one is.")
    errors: str = Field(description="The same as `detail`.")


def body_of(kind: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Returns what the document says of a body that the route reads itself."""
    content = {"schema": portable(kind.model_json_schema()), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def dialect_errors(*statuses: int) -> Replies:
    """Returns what the document says of errors of these statuses, in this dialect."""
    replies: Replies = {}
    for status, native in errors(*statuses).items():
        example = _translated(native["content"]["application/json"]["example"]["error"])
        content = {"application/json": {"example": example}}
        replies[status] = {**native, "model": DialectError, "content": content}
    return replies


Handler = Callable[[Request, Exception], Awaitable[Response]]
HANDLERS: tuple[tuple[type[Exception], Handler], ...] = (
    (AtelierError, on_own),
    (RequestValidationError, on_invalid),
    (redis.RedisError, on_redis),
    (StoreError, on_store),
)


class DialectRoute(APIRoute):
    """A route whose errors have the shape of AUTOMATIC1111's."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def in_dialect(request: Request) -> Response:
            try:
                response = await handle(request)
            except Exception as error:
                for kind, handler in HANDLERS:
                    if isinstance(error, kind):
                        return as_dialect(await handler(request, error))
                raise
            return as_dialect(response) if response.status_code >= 400 else response

        return in_dialect


def as_dialect(response: Response) -> Response:
    """Returns an error of the service with the web UI's fields: `detail` says what is wrong."""
    body = _translated(json.loads(bytes(response.body))["error"])
    headers = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
    translated = Response(
        json.dumps(body), response.status_code, headers, media_type="application/json"
    )
    translated.background = response.background
    return translated


def _translated(error: Mapping[str, Any]) -> dict[str, str]:
    message = error["message"]
    field = error["param"] or ""
    return {"error": error["code"], "detail": message, "body": field, "errors": message}


async def get_caller(request: Request, services: ServicesDep) -> str:
    """Returns the owner of a key: a Bearer, or the password of Basic authentication.

    Raises Unauthenticated.
    """
    owner = services.keys.owner(bearer_of(request.headers.get("authorization")))
    request.state.owner = owner
    return owner


def bearer_of(authorization: str | None) -> str | None:
    """Returns an Authorization header with the password of Basic as a Bearer's key.

    The web UI's clients know no other: `--api-auth user:password`.
    """
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return authorization
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return authorization
    user, _, password = pair.partition(":")
    return f"Bearer {password or user}"


CallerDep = Annotated[str, Depends(get_caller)]
