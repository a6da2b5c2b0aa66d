"""Reads the bodies of requests that bring a file: raw, or as a field of a form."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.core.errors import InvalidRequest, TooLarge, Unavailable, Unprocessable, UnsupportedMedia
from app.files.uploads import UploadSpace
from app.http.body_parsing import content_type_of

log = logging.getLogger(__name__)

MOST_FIELDS = 64  # of a form
LONGEST_FIELD = 2**16  # bytes of a field of a form that is no file
IN_MEMORY = 2**20  # bytes of an upload; the rest is on a disk
FILES = ("image/", "audio/", "video/", "application/octet-stream", "application/ogg")


@asynccontextmanager
async def uploaded_file(request: Request, space: UploadSpace) -> AsyncIterator[BinaryIO]:
    """An uploaded file: the field `file` of a form, or the whole body. Its bytes are on a disk,
    and gone when the context ends. Raises Unavailable where other uploads leave no room."""
    kind = content_type_of(request)
    if kind == "multipart/form-data":
        upload = _form_file(request)
    elif kind.startswith(FILES):
        upload = _raw_file(request)
    else:
        raise UnsupportedMedia(
            "send a form with the field `file`, or the bytes with their own Content-Type"
        )
    with _room_for(request, space):
        async with upload as file:
            _check_size(file, "file", space, code="missing_parameter")
            yield file.file


@asynccontextmanager
async def uploaded_form(
    request: Request, space: UploadSpace, file_field: str
) -> AsyncIterator[tuple[dict[str, str], BinaryIO | None]]:
    """The texts of a form, and the file in it, if there is one under that name.

    Raises Unprocessable for a file elsewhere, and for a field that stands there twice.
    """
    async with uploaded_files(request, space, {file_field: 1}) as (texts, files):
        yield texts, next(iter(files.get(file_field, ())), None)


@asynccontextmanager
async def uploaded_files(
    request: Request, space: UploadSpace, most: Mapping[str, int]
) -> AsyncIterator[tuple[dict[str, str], dict[str, list[BinaryIO]]]]:
    """The texts of a form, and the files in it by name, as many of each name as `most` says.

    Raises Unprocessable for a file elsewhere, and for a field that is there too often.
    """
    texts: dict[str, str] = {}
    files: dict[str, list[BinaryIO]] = {}
    with _room_for(request, space):
        async with _form(request, MOST_FIELDS, sum(most.values())) as form:
            for name, value in form.multi_items():
                seen = len(files.get(name, ()))
                if name in texts or 0 < most.get(name, 0) <= seen:
                    often = "twice" if seen < 2 else f"{seen + 1} times"
                    raise Unprocessable(f"{name[:100]} is given {often}", param=name[:100])
                if isinstance(value, str):
                    texts[name] = value
                elif name not in most:
                    raise Unprocessable(f"{name[:100]} must not be a file", param=name[:100])
                else:
                    _check_size(value, name, space)
                    files.setdefault(name, []).append(value.file)
            yield texts, files


@contextmanager
def _room_for(request: Request, space: UploadSpace) -> Iterator[None]:
    """Reserves what the body says it has, or the most that it may have where it says nothing."""
    length = request.headers.get("content-length", "")
    size = min(int(length), space.largest) if length.isdecimal() else space.largest
    with space.reserve(size):
        yield


def _check_size(file: UploadFile, name: str, space: UploadSpace, code: str | None = None) -> None:
    size = file.size or 0
    if size > space.largest:
        raise TooLarge(f"{name} must have at most {space.largest} bytes")
    if not size:
        raise Unprocessable(f"{name} is empty", code=code, param=name)


@asynccontextmanager
async def _form(request: Request, max_fields: int, max_files: int = 1) -> AsyncIterator[FormData]:
    """A form, parsed; what is beyond a megabyte of a file lies on a disk."""
    check_form(request)
    try:
        form = await request.form(
            max_files=max_files, max_fields=max_fields, max_part_size=LONGEST_FIELD
        )
    except OSError as error:
        raise _no_disk(error) from None
    except HTTPException as error:
        raise InvalidRequest(f"the form can't be read: {error.detail}") from None
    try:
        yield form
    finally:
        await form.close()


def check_form(request: Request) -> None:
    """Raises UnsupportedMedia for a form in another encoding than UTF-8.

    The parser would decode by any codec of Python's, and some of them take time that grows with
    the square of the length, or give strings that can't be sent back.
    """
    _, options = parse_options_header(request.headers["content-type"])
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"a form must be in UTF-8, not in {charset[:40]}")


@asynccontextmanager
async def _form_file(request: Request) -> AsyncIterator[UploadFile]:
    async with _form(request, 8) as form:
        for name in form:
            if name != "file":
                message = f"{name[:100]} is not a parameter here; known parameters: file"
                raise Unprocessable(message, code="unknown_parameter", param=name[:100])
        file = form.get("file")
        if not isinstance(file, UploadFile):
            message = "file is required, as a file"
            raise Unprocessable(message, code="missing_parameter", param="file")
        yield file


@asynccontextmanager
async def _raw_file(request: Request) -> AsyncIterator[UploadFile]:
    with SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        file = UploadFile(cast(BinaryIO, spool), size=0)
        try:
            async for chunk in request.stream():
                await file.write(chunk)
        except OSError as error:
            raise _no_disk(error) from None
        yield file


def _no_disk(error: OSError) -> Unavailable:
    log.error("an upload can't be written to the temporary folder: %s", error)
    message = "files can't be taken now; try again"
    return Unavailable(message, code="store_unavailable", retry_after=5)
