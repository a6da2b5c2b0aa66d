"""Thumbnails of artifacts: each is drawn once, and then stored as long as its artifact.

Two requests that come at once may both draw it; they store the same bytes.
"""

import logging
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from app.core.errors import Gone, Unprocessable
from app.core.images.image_reader import UnreadableFile
from app.core.job_record import thumbnails_key
from app.core.store import Missing
from app.files.artifact_store import ArtifactStore
from app.files.downloads import ArtifactRecord, send
from app.queue.queue import Queue
from app.thumbnails.renderer import DRAWN, draw_thumbnail

log = logging.getLogger(__name__)

WIDTHS = (64, 128, 256, 512)
"""Pixels."""
MOST_BYTES = 100_000_000  # of a file that is read to draw it


def check_width(width: int) -> int:
    """Raises ValueError for a width that no thumbnail has."""
    if width not in WIDTHS:
        *widths, last = WIDTHS
        raise ValueError(f"it must be {', '.join(map(str, widths))} or {last}")
    return width


async def send_thumbnail(
    request: Request,
    queue: Queue,
    store: ArtifactStore,
    owner: str,
    artifact: ArtifactRecord,
    width: int,
) -> Response:
    """As `send`, the artifact's thumbnail. Raises Unprocessable where there can be none."""
    if artifact.content_type not in DRAWN:
        message = f"there are no thumbnails of {artifact.content_type}"
        raise Unprocessable(message, param="width")
    if thumbnail := await _stored(queue, artifact.sha256, width):
        try:
            return await send(request, store, thumbnail)
        except Gone:
            log.warning("thumbnail not stored any more", extra={"sha256": thumbnail.sha256})
    return await send(request, store, await _drawn(queue, store, owner, artifact, width))


async def _stored(queue: Queue, sha256: str, width: int) -> ArtifactRecord | None:
    entry: Any = await queue.connection.hget(thumbnails_key(sha256), str(width))
    if entry is None:
        return None
    thumbnail, _, size = entry.partition("/")
    return ArtifactRecord(thumbnail, "image/webp", int(size))


async def _drawn(
    queue: Queue, store: ArtifactStore, owner: str, artifact: ArtifactRecord, width: int
) -> ArtifactRecord:
    """Raises Gone where the artifact has expired meanwhile."""
    if artifact.bytes > MOST_BYTES:
        message = f"there are no thumbnails of files of more than {MOST_BYTES} bytes"
        raise Unprocessable(message, param="width")
    try:
        async with store.check_slot("thumbnail"):
            data = await store.get(artifact.sha256)
            drawing = await run_in_threadpool(draw_thumbnail, data, artifact.content_type, width)
    except Missing:
        raise Gone("this artifact is no longer stored") from None
    except UnreadableFile as error:
        message = f"there is no thumbnail: the file {error}"
        raise Unprocessable(message, param="width") from None
    sha256 = await store.keep_input(drawing)
    size = len(drawing)
    if not await queue.run_script("note_thumbnail", owner, artifact.sha256, width, sha256, size):
        raise Gone("this artifact has expired")
    return ArtifactRecord(sha256, "image/webp", size)
