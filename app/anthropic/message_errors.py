"""Errors in the shape that Anthropic's clients read."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from app.core.schemas import Schema
from app.http.openapi_examples import Replies, errors

PATHS = re.compile(r"/v1/messages(/|$)")
"""The paths of this dialect, behind any prefix."""
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    501: "api_error",
    503: "overloaded_error",
}
"""Types of errors by their status; others are an `invalid_request_error`."""


class MessageErrorDetail(Schema):
    type: str = Field(description="One of Anthropic's types of errors.")
    message: str = Field(description="What is wrong.")
    param: str | None = Field(default=None, description="The field that is wrong, if one is.")
    code: str = Field(description="The code, as in the errors of other routes.")


class MessageError(Schema):
    """An error as Anthropic's clients read it."""

    type: Literal["error"] = "error"
    error: MessageErrorDetail


def translated(status: int, error: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an error of the service in Anthropic's shape. Raises KeyError where it is none."""
    kind = TYPES.get(status, "invalid_request_error")
    detail = {"type": kind, **{name: error[name] for name in ("message", "param", "code")}}
    return {"type": "error", "error": detail}


def message_errors(*statuses: int) -> Replies:
    """Returns what the document says of errors of these statuses, in this dialect."""
    replies: Replies = {}
    for status, native in errors(*statuses).items():
        example = translated(int(status), native["content"]["application/json"]["example"]["error"])
        content = {"application/json": {"example": example}}
        replies[status] = {**native, "model": MessageError, "content": content}
    return replies
