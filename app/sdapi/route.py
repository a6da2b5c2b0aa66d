"""How routes of this dialect differ from others: the shape of errors, and Basic authentication."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.schemas import Schema
from app.deps import ServicesDep
from app.http.openapi_examples import Replies, errors
from app.http.openapi_schemas import portable

PATHS = re.compile(r"/sdapi/v1(/|$)|/queue/status$")
"""The paths of this dialect, behind any prefix."""


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


class DialectErrors:
    """Gives every error under these paths the shape of AUTOMATIC1111's, whoever refuses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not PATHS.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def send_translated(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and message["status"] >= 400:
                start = message
                return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            translated = in_dialect(body)
            if translated is None and message.get("more_body"):
                return
            if translated is not None:
                MutableHeaders(raw=start["headers"])["content-length"] = str(len(translated))
            first, start = start, None
            await send(first)
            await send({**message, "body": body if translated is None else translated})

        await self._app(scope, receive, send_translated)


def in_dialect(body: bytes) -> bytes | None:
    """Returns an error of the service with the web UI's fields: `detail` says what is wrong."""
    try:
        error = json.loads(body)["error"]
        return json.dumps(_translated(error)).encode()
    except (ValueError, TypeError, KeyError):
        return None


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
