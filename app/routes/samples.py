"""/models/{id}/sample: what a model makes, to be seen before anything is made."""

import asyncio
import hashlib
from typing import Any

from fastapi import APIRouter, Request, Response

from app.core.errors import OutOfRange
from app.deps import CatalogDep, OwnerDep
from app.files.downloads import ArtifactRecord, requested_range
from app.http.exception_handlers import respond
from app.http.openapi_examples import DOWNLOAD, RANGE
from app.http.responses import matches
from app.routes.models import ModelId

router = APIRouter(tags=["models"])

SENT: dict[int | str, dict[str, Any]] = {k: v for k, v in DOWNLOAD.items() if k not in (410, 503)}


@router.get(
    "/models/{model_id}/sample",
    summary="Get a sample of a model",
    response_class=Response,
    responses=SENT,
    openapi_extra=RANGE,
)
async def get_sample(
    request: Request, owner: OwnerDep, catalog: CatalogDep, model_id: ModelId
) -> Response:
    """A small file of what the model makes, made beforehand: a sheet of pictures, an animation,
    some seconds of music, a piano roll or a text. The card's `sample` has its type.

    404 `sample_not_found` where there is none: of your own models, until you write one.
    """
    sample = catalog.sample_of(model_id)
    content = await asyncio.to_thread(sample.read)
    digest = hashlib.sha256(content).hexdigest()
    record = ArtifactRecord(digest, sample.content_type, len(content))
    headers = {"ETag": record.tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if matches(request.headers.get("if-none-match"), record.tag):
        return Response(status_code=304, headers=headers)
    wanted = requested_range(request, record)
    if wanted is None:
        refusal = respond(OutOfRange(f"the sample has {len(content)} bytes", param="Range"))
        refusal.headers["Content-Range"] = f"bytes */{len(content)}"
        return refusal
    status, data = 200, content[wanted.start : wanted.stop]
    if len(data) < len(content):
        status = 206
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{len(content)}"
    return Response(data, status, headers, media_type=sample.content_type)
