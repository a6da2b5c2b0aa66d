"""Sends artifacts: whole or a range, to those who own them, in pieces read as they are sent."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from fastapi import Request, Response
from starlette.responses import StreamingResponse

from app.core.errors import Gone, NotFound, OutOfRange
from app.core.job_record import artifact_key
from app.core.store import NAME, Missing
from app.files.artifact_store import ArtifactStore
from app.files.uploads import SUFFIXES
from app.http.exception_handlers import respond
from app.http.responses import matches

PIECE = 2**18  # bytes read and sent at once
FOREVER = "private, max-age=31536000, immutable"  # a hash never names other bytes
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True)
class ArtifactRecord:
    """What Redis notes of an artifact that the asker may read."""

    sha256: str
    content_type: str
    bytes: int

    @property
    def tag(self) -> str:
        return f'"{self.sha256}"'

    @property
    def name(self) -> str:
        return f"{self.sha256[:16]}.{suffix_of(self.content_type)}"


def suffix_of(content_type: str) -> str:
    """What the names of such files end in, without a dot."""
    return SUFFIXES.get(content_type.partition(";")[0], "bin")


async def read_note(connection: "redis.asyncio.Redis", owner: str, sha256: str) -> ArtifactRecord:
    """Owning counts, not knowing the hash. Raises NotFound, or Gone for what was once theirs."""
    if not NAME.fullmatch(sha256):
        raise NotFound("no such artifact", code="artifact_not_found")
    fields = ["content_type", "bytes", f"owner:{owner}", f"was:{owner}"]
    values: list[Any] = await connection.hmget(artifact_key(sha256), fields)
    kind, size, count, was = values
    if kind and size and int(count or 0) > 0:
        return ArtifactRecord(sha256, kind, int(size))
    if was:
        raise Gone("this artifact has expired")
    raise NotFound("no such artifact", code="artifact_not_found")


async def send(request: Request, store: ArtifactStore, note: ArtifactRecord) -> Response:
    """200, 206, 304 or 416. The first piece is read before the answer begins, so that a store
    that fails is told as such."""
    headers = {
        "ETag": note.tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": FOREVER,
        "Content-Disposition": f'inline; filename="{note.name}"',
    }
    if matches(request.headers.get("if-none-match"), note.tag):
        return Response(status_code=304, headers=headers)
    wanted = requested_range(request, note)
    if wanted is None:
        refusal = respond(OutOfRange(f"the artifact has {note.bytes} bytes", param="Range"))
        refusal.headers["Content-Range"] = f"bytes */{note.bytes}"
        return refusal
    status = 200
    if len(wanted) < note.bytes:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{note.bytes}"
        status = 206
    headers["Content-Length"] = str(len(wanted))
    try:
        first = await store.read(note.sha256, wanted.start, _piece(wanted))
    except Missing:
        raise Gone("this artifact is no longer stored") from None
    body = _pieces(store, note.sha256, wanted, first)
    return StreamingResponse(body, status, headers, media_type=note.content_type)


def requested_range(request: Request, note: ArtifactRecord) -> range | None:
    """The bytes asked for: all of them without a Range that holds and can be read (RFC 9110,
    14.2), None where it lies beyond the end."""
    everything = range(note.bytes)
    match = RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if not match or match[0] == "bytes=-":
        return everything
    if request.headers.get("if-range", note.tag) != note.tag:
        return everything
    if not match[1]:  # the last so many
        return everything[max(0, note.bytes - int(match[2])) :] or None
    start = int(match[1])
    stop = int(match[2]) + 1 if match[2] else note.bytes
    if match[2] and stop <= start:
        return everything
    return everything[start:stop] or None


def _piece(wanted: range) -> int:
    return min(PIECE, len(wanted))


async def _pieces(
    store: ArtifactStore, sha256: str, wanted: range, first: bytes
) -> AsyncIterator[bytes]:
    """Nothing is held open between two pieces, so a client that leaves leaves nothing behind."""
    yield first
    for start in range(wanted.start + len(first), wanted.stop, PIECE):
        length = min(PIECE, wanted.stop - start)
        yield await store.read(sha256, start, length)
