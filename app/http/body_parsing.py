"""Reads the bodies of requests that are JSON."""

import json
from typing import Any

from fastapi import Request
from pydantic_core import from_json

from app.core.errors import InvalidRequest, UnsupportedMedia

LARGEST_EXACT = 2**53  # of the whole numbers that a float holds, as JavaScript does


async def read_json(request: Request) -> tuple[dict[str, Any], bytes]:
    """A JSON object, parsed, and its text. Not NaN, not Infinity, not half a surrogate pair.

    A whole number may be written 51.0, as JSON Schema has it: it is returned as 51.

    The content type must say JSON: a page of another site can post anything else from a
    visitor's browser to this machine without being asked. Raises InvalidRequest (400),
    UnsupportedMedia.
    """
    kind = content_type_of(request)
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMedia("the body must be JSON, with Content-Type: application/json")
    text = await request.body()
    try:
        body = from_json(text, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    whole = with_integers(body)
    return (body, text) if whole is body else (whole, json.dumps(whole).encode())


def with_integers(value: Any) -> Any:
    """The value with 51.0 as 51, at any depth; the same object where it has no such number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_EXACT:
        return int(value)
    if isinstance(value, dict):
        members = {name: with_integers(member) for name, member in value.items()}
        return members if any(members[name] is not value[name] for name in value) else value
    if isinstance(value, list):
        items = [with_integers(item) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value


def content_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
