"""POST /v1/images/edits and /v1/images/variations, for OpenAI's clients."""

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from app.catalog.catalog import CatalogEntry
from app.core.errors import UnsupportedMedia
from app.files.upload_parsing import uploaded_files
from app.http.body_parsing import content_type_of
from app.http.openapi_examples import IdempotencyKey, Replies
from app.openai.images.answer import ImageAnswer
from app.openai.images.edit_request import (
    IMAGE,
    IMAGES,
    MASK,
    MOST_IMAGES,
    PICTURE,
    EditRequest,
    ImageEditRequest,
    ImageVariationRequest,
    body_of,
    check_takes_mask,
    editing_model,
    only_image,
    read_request,
)
from app.openai.images.mask import read_clear, read_mask
from app.openai.images.response import ImagesReply
from app.openai.images.routes import EVENTS, REPLIES
from app.operations.retries import submit_registered
from app.operations.submit import Submitter, SubmitterDep

router = APIRouter(tags=["openai"])

Files = Mapping[str, list[BinaryIO]]
ONE_IMAGE = {IMAGE: MOST_IMAGES, IMAGES: MOST_IMAGES}
FILES: Mapping[type[EditRequest], Mapping[str, int]] = {
    ImageEditRequest: {**ONE_IMAGE, MASK: 1},
    ImageVariationRequest: ONE_IMAGE,
}
"""How many files of each name a form may have; that a model takes one image is said later."""
EDITED: dict[str, Any] = {**REPLIES[200], "content": dict(REPLIES[200]["content"])}
EDITED["content"]["text/event-stream"] = {"example": EVENTS.replace("_generation", "_edit")}
EDIT_REPLIES: Replies = {**REPLIES, 200: EDITED}


@router.post(
    "/v1/images/edits",
    summary="Edit a picture, as OpenAI does",
    response_model=ImagesReply,
    responses=EDIT_REPLIES,
)
async def edit_images(submitter: SubmitterDep, idempotency_key: IdempotencyKey = None) -> Response:
    """Repaints `image` as `prompt` says: all of it, or where `mask` is fully transparent.

    A form, as OpenAI's clients send. Without a mask, the image's own transparent part is
    repainted, if it has one. A model takes one image, and its own parameters besides OpenAI's. It
    is a job like any other (`Location`, `job_id`), and answers as `/v1/images/generations` does.
    """
    return await _answer(submitter, ImageEditRequest)


@router.post(
    "/v1/images/variations",
    summary="Vary a picture, as OpenAI does",
    response_model=ImagesReply,
    responses=REPLIES,
)
async def vary_images(submitter: SubmitterDep, idempotency_key: IdempotencyKey = None) -> Response:
    """Makes `n` pictures that are like `image`, without words.

    A form, as OpenAI's clients send. `strength` says how far they may leave it, if the model takes
    it. Otherwise as `/v1/images/edits`.
    """
    return await _answer(submitter, ImageVariationRequest)


async def _answer(submitter: Submitter, kind: type[EditRequest]) -> Response:
    request, store = submitter.request, submitter.store
    if content_type_of(request) != "multipart/form-data":
        raise UnsupportedMedia(f"send a form, multipart/form-data, with the field `{IMAGE}`")
    catalog, settings = submitter.catalog, submitter.settings
    async with uploaded_files(request, store.upload_space, FILES[kind]) as (form, files):
        entry = editing_model(catalog, settings, form)
        body = body_of(kind, entry, form)
        hashes = await _stored(submitter, kind, entry, files)
    asked, job_request = read_request(kind, entry, catalog, settings, body, hashes)
    whole_body = {**body, IMAGE: hashes[PICTURE], MASK: hashes.get(MASK)}
    accepted, registration = await submit_registered(submitter, job_request, whole_body)
    answer = ImageAnswer(submitter, accepted, registration, asked)
    return await (answer.stream() if asked.stream else answer.whole())


async def _stored(
    submitter: Submitter, kind: type[EditRequest], entry: CatalogEntry, files: Files
) -> dict[str, str]:
    """The hashes of a form's files by the model's own params: stored, once they are known to be of
    use. Raises Unprocessable for what is not."""
    store, owner, catalog = submitter.store, submitter.owner, submitter.catalog
    image, mask = only_image(files, entry.id), next(iter(files.get(MASK, ())), None)
    if mask is not None:
        check_takes_mask(entry, catalog, MASK)
    async with store.check_slot("image"):
        size, white = await run_in_threadpool(read_clear, image, IMAGE)
        if mask is not None:
            white = await run_in_threadpool(read_mask, mask, MASK, size)
    if kind is ImageVariationRequest:
        white = None
    elif white is not None and mask is None:
        check_takes_mask(entry, catalog, IMAGE)
    hashes = {PICTURE: (await store.keep(owner, image)).sha256}
    if white is not None:
        hashes[MASK] = (await store.keep(owner, io.BytesIO(white))).sha256
    return hashes
