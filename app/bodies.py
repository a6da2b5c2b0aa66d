"""Reads the bodies of requests: JSON by its letter, files raw or as a form's `file`."""

import json
from typing import Any

from fastapi import Request
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile

from app.errors import InvalidRequest, TooLarge, Unprocessable, UnsupportedMedia

MOST_FIELDS = 64  # of a form
LARGEST_EXACT = 2**53  # of the whole numbers that a float holds, as JavaScript does
FILES = ("image/", "audio/", "video/", "application/octet-stream", "application/ogg")


async def read_json(request: Request) -> tuple[dict[str, Any], bytes]:
    """A JSON object, parsed, and its text. Not NaN, not Infinity, not half a surrogate pair.

    A whole number may be written 51.0, as JSON Schema has it: it is returned as 51.

    The content type must say JSON: a page of another site can post anything else from a
    visitor's browser to this machine without being asked. Raises InvalidRequest (400),
    UnsupportedMedia.
    """
    kind = _content_type(request)
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMedia("the body must be JSON, with Content-Type: application/json")
    text = await request.body()
    try:
        body = from_json(text, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    whole = _with_integers(body)
    return (body, text) if whole is body else (whole, json.dumps(whole).encode())


def _with_integers(value: Any) -> Any:
    """The value with 51.0 as 51, at any depth; the same object where it has no such number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_EXACT:
        return int(value)
    if isinstance(value, dict):
        members = {name: _with_integers(member) for name, member in value.items()}
        return members if any(members[name] is not value[name] for name in value) else value
    if isinstance(value, list):
        items = [_with_integers(item) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value


async def read_file(request: Request, largest: int) -> bytes:
    """The bytes of an uploaded file: the field `file` of a form, or the whole body."""
    kind = _content_type(request)
    if kind == "multipart/form-data":
        data = await _form_file(request)
    elif kind.startswith(FILES):
        data = await request.body()
    else:
        raise UnsupportedMedia(
            "send a form with the field `file`, or the bytes with their own Content-Type"
        )
    if len(data) > largest:
        raise TooLarge(f"the file must have at most {largest} bytes")
    if not data:
        raise Unprocessable("file is empty", code="missing_parameter", param="file")
    return data


async def read_form(
    request: Request, file_field: str, largest: int
) -> tuple[dict[str, str], bytes | None]:
    """The texts of a form, and the file in it, if there is one under that name.

    Raises Unprocessable for a file elsewhere, and for a field that stands there twice.
    """
    check_form(request)
    texts: dict[str, str] = {}
    file: bytes | None = None
    async with request.form(max_files=1, max_fields=MOST_FIELDS) as form:
        for name, value in form.multi_items():
            if name in texts:
                raise Unprocessable(f"{name[:100]} is given twice", param=name[:100])
            if isinstance(value, str):
                texts[name] = value
            elif name == file_field:
                file = await value.read()
            else:
                raise Unprocessable(f"{name[:100]} must not be a file", param=name[:100])
    if file is not None and len(file) > largest:
        raise TooLarge(f"{file_field} must have at most {largest} bytes")
    if file is not None and not file:
        raise Unprocessable(f"{file_field} is empty", param=file_field)
    return texts, file


def check_form(request: Request) -> None:
    """Raises UnsupportedMedia for a form in another encoding than UTF-8.

    The parser would decode by any codec of Python's, and some of them take time that grows with
    the square of the length, or give strings that can't be sent back.
    """
    _, options = parse_options_header(request.headers["content-type"])
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"a form must be in UTF-8, not in {charset[:40]}")


async def _form_file(request: Request) -> bytes:
    check_form(request)
    async with request.form(max_files=1, max_fields=8) as form:
        for name in form:
            if name != "file":
                message = f"{name[:100]} is not a parameter here; known parameters: file"
                raise Unprocessable(message, code="unknown_parameter", param=name[:100])
        file = form.get("file")
        if not isinstance(file, UploadFile):
            message = "file is required, as a file"
            raise Unprocessable(message, code="missing_parameter", param="file")
        return await file.read()


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
