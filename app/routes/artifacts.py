"""/artifacts: files that clients bring, and files that jobs made."""

import logging
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, WithJsonSchema

from app.core.schemas import StoredArtifact
from app.deps import OwnerDep, QueueDep, StoreDep
from app.files.downloads import read_note, send
from app.files.upload_parsing import uploaded_file
from app.http.openapi_examples import (
    DOWNLOAD,
    RANGE,
    SHA256,
    UPLOAD_FORM,
    errors,
    reply,
)
from app.http.responses import json_reply
from app.thumbnails.thumbnails import WIDTHS, check_width, send_thumbnail

router = APIRouter(tags=["artifacts"])
log = logging.getLogger("atelier.artifacts")

Sha256 = Annotated[str, Path(description="The SHA-256 of its bytes.", examples=[SHA256])]
Width = Annotated[
    int,
    AfterValidator(check_width),
    WithJsonSchema({"type": "integer", "enum": list(WIDTHS)}),
]
THUMBNAIL = "For a thumbnail instead of the file: pixels that it is wide at most."
UPLOAD = {
    "requestBody": {
        "required": True,
        "description": "A form with the field `file`. The bytes alone, with their own "
        "Content-Type, are taken as well; generators of clients can't write both.",
        "content": {"multipart/form-data": {"schema": UPLOAD_FORM}},
    }
}
STORED = {"sha256": SHA256, "content_type": "image/png", "bytes": 2301}


@router.post(
    "/artifacts",
    summary="Bring a file",
    status_code=201,
    response_model=StoredArtifact,
    responses={
        201: reply("It is stored.", STORED),
        **errors(400, 401, 413, 415, 422, 503),
    },
    openapi_extra=UPLOAD,
)
async def store_artifact(request: Request, owner: OwnerDep, store: StoreDep) -> Response:
    """Stores a picture, mask, score or sound, to be named by its hash in requests.

    PNG, JPEG, GIF, WebP, AVIF, HEIC, WAV, FLAC, MP3, M4A, Ogg, MIDI, MP4, QuickTime and WebM are
    taken, known by their bytes.
    It is kept as long as results are; posted again, the time starts anew.
    """
    async with uploaded_file(request, store.upload_space) as file:
        stored = await store.keep(owner, file)
    log.info("stored", extra={"sha256": stored.sha256, "owner": owner, "bytes": stored.bytes})
    return json_reply(stored, 201)


@router.get(
    "/artifacts/{sha256}",
    summary="Get a file",
    response_class=Response,
    responses=DOWNLOAD,
    openapi_extra=RANGE,
)
async def get_artifact(
    request: Request,
    owner: OwnerDep,
    queue: QueueDep,
    store: StoreDep,
    sha256: Sha256,
    width: Annotated[Width | None, Query(description=THUMBNAIL)] = None,
) -> Response:
    """The bytes of an artifact that a job of yours made, or that you brought.

    With `width`, a thumbnail of a picture, video, sound or score, as WebP: drawn once, and kept as
    long as the artifact. Pictures and the first frames of videos keep their aspect and are never
    enlarged. Sounds are shown as a waveform, and scores as a piano roll.
    """
    note = await read_note(queue.connection, owner, sha256)
    if width is None:
        return await send(request, store, note)
    return await send_thumbnail(request, queue, store, owner, note, width)
