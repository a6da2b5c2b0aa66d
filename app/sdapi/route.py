"""How routes of this dialect differ from others: the shape of errors, and Basic authentication."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, Field

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
        example = translated(int(status), native["content"]["application/json"]["example"]["error"])
        content = {"application/json": {"example": example}}
        replies[status] = {**native, "model": DialectError, "content": content}
    return replies


def translated(_: int, error: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an error of the service with the web UI's fields: `detail` says what is wrong."""
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
