"""/v1/videos: moving pictures, for OpenAI's clients."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from app.catalog.catalog import Catalog, CatalogEntry
from app.core.errors import NotFound, NotReady, Unprocessable
from app.core.schemas import TERMINAL, Job
from app.deps import CatalogDep, OwnerDep, QueueDep, StoreDep
from app.files.downloads import read_note, send
from app.files.upload_parsing import uploaded_form
from app.http.body_parsing import read_json
from app.http.openapi_examples import (
    DOWNLOAD,
    JOB_ID,
    LOCATION,
    RANGE,
    REPLAYED,
    IdempotencyKey,
    errors,
    reply,
)
from app.http.responses import accepted_headers, json_reply
from app.openai.forms import form_fields
from app.openai.parsing import named_model
from app.openai.videos.request import (
    PICTURE,
    REFERENCE,
    read_request,
    video_model,
)
from app.openai.videos.response import (
    ROLES,
    Variant,
    VideoDeleted,
    VideoList,
    VideoResponse,
    job_id,
    video_id,
    video_of,
)
from app.operations.job_errors import check_outputs
from app.operations.retries import submit_registered
from app.operations.submit import Submitter, SubmitterDep
from app.queue.job_search import JobFilter
from app.queue.jobs import known
from app.queue.queue import Queue

router = APIRouter(tags=["openai"])
log = logging.getLogger("atelier.jobs")

VIDEO_ID = video_id(JOB_ID)
VideoId = Annotated[str, Path(description="The id of a video.", examples=[VIDEO_ID])]
QUEUED: dict[str, Any] = {
    "id": VIDEO_ID,
    "object": "video",
    "model": "video-diffusion-emoji",
    "status": "queued",
    "progress": 0,
    "created_at": 1790000000,
    "completed_at": None,
    "expires_at": None,
    "prompt": "a waving hand",
    "seconds": "4",
    "size": "64x64",
    "remixed_from_video_id": None,
    "error": None,
    "job_id": JOB_ID,
    "seed": 1234,
    "notes": [],
}
DONE = {**QUEUED, "status": "completed", "progress": 100, "completed_at": 1790000002}
PAGE = {
    "object": "list",
    "data": [DONE],
    "first_id": VIDEO_ID,
    "last_id": VIDEO_ID,
    "has_more": False,
}
DELETED = {"id": VIDEO_ID, "object": "video.deleted", "deleted": True}
CONTENT = {**DOWNLOAD, **errors(401, 404, 409, 410, 416, 422, 503)}


class VideoListQuery(BaseModel):
    """Which videos to list."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(None, description="Only videos that come after this one: `last_id`.")
    limit: int = Field(20, ge=1, le=100, description="At most so many.")
    order: Literal["asc", "desc"] = Field("desc", description="By time; newest first is `desc`.")


@router.post(
    "/v1/videos",
    summary="Make a video, as OpenAI does",
    response_model=VideoResponse,
    responses={
        200: reply("Accepted.", QUEUED, LOCATION | REPLAYED),
        **errors(400, 401, 404, 410, 413, 415, 422, 429, 503),
    },
)
async def create_video(submitter: SubmitterDep, idempotency_key: IdempotencyKey = None) -> Response:
    """Accepts a job that makes a video, and answers at once: poll it until it is `completed`.

    A form, as OpenAI's clients send, or JSON. Any model of videos can be named, and takes its own
    parameters besides OpenAI's. `input_reference`, a picture, is set in motion.
    """
    entry, body, picture = await _read(submitter)
    job_request = read_request(entry, body, picture, submitter.settings.sizes)
    whole_body = {**body, REFERENCE: picture}
    accepted, registration = await submit_registered(submitter, job_request, whole_body)
    headers = accepted_headers(accepted.job, accepted.replayed)
    answer = json_reply(_video(submitter.catalog, accepted.job), headers=headers)
    answer.background = BackgroundTask(registration.answered)
    return answer


@router.get(
    "/v1/videos",
    summary="List your videos, as OpenAI does",
    response_model=VideoList,
    responses={200: reply("A page of videos.", PAGE), **errors(401, 404, 422, 503)},
)
async def list_videos(
    owner: OwnerDep,
    queue: QueueDep,
    catalog: CatalogDep,
    wanted: Annotated[VideoListQuery, Query()],
) -> Response:
    """Pages by cursor: pass `last_id` as `after` while `has_more` is true."""
    after = None if wanted.after is None else known(job_id(wanted.after))
    page = JobFilter(type="video", after=after, limit=wanted.limit, order=wanted.order)
    listed = await queue.list(owner, page)
    videos = [_video(catalog, job) for job in listed.data]
    ends = (videos[0].id, videos[-1].id) if videos else (None, None)
    return json_reply(
        VideoList(data=videos, first_id=ends[0], last_id=ends[1], has_more=listed.has_more)
    )


@router.get(
    "/v1/videos/{video}",
    summary="Look at a video, as OpenAI does",
    response_model=VideoResponse,
    responses={200: reply("The video.", DONE), **errors(401, 404, 503)},
)
async def get_video(
    owner: OwnerDep, queue: QueueDep, catalog: CatalogDep, video: VideoId
) -> Response:
    """The video as it is now."""
    return json_reply(_video(catalog, await _job(queue, owner, video)))


@router.get(
    "/v1/videos/{video}/content",
    summary="Get a video's bytes, as OpenAI does",
    response_class=Response,
    responses=CONTENT,
    openapi_extra=RANGE,
)
async def get_content(
    request: Request,
    owner: OwnerDep,
    queue: QueueDep,
    store: StoreDep,
    video: VideoId,
    variant: Annotated[
        Variant, Query(description="The video, its first frame, or a sheet of all frames.")
    ] = "video",
) -> Response:
    """Once it is completed: the video in the format that was asked for, the others as PNG."""
    job = await _job(queue, owner, video)
    if job.status not in TERMINAL:
        raise NotReady(f"{video} is not done yet; its status is {job.status}")
    check_outputs(job)
    files = [output for output in job.outputs if output.role == ROLES[variant]]
    if not files:
        raise NotFound(f"{video} has no {variant}", code="artifact_not_found", param="variant")
    note = await read_note(queue.connection, owner, files[0].sha256)
    return await send(request, store, note)


@router.delete(
    "/v1/videos/{video}",
    summary="Delete a video, as OpenAI does",
    response_model=VideoDeleted,
    responses={200: reply("It is gone.", DELETED), **errors(401, 404, 503)},
)
async def delete_video(owner: OwnerDep, queue: QueueDep, video: VideoId) -> Response:
    """Cancels its job if it is active; its record goes, and its files that nothing else shares."""
    job = await _job(queue, owner, video)
    await queue.delete(owner, job.id)
    log.info("deleted", extra={"job": job.id, "owner": owner})
    return json_reply(VideoDeleted(id=video))


async def _job(queue: Queue, owner: str, video: str) -> Job:
    """Raises NotFound for what makes something else as well."""
    job = await queue.fetch(owner, known(job_id(video)))
    if job.type != "video":
        raise NotFound("no such video", code="job_not_found")
    return job


def _video(catalog: Catalog, job: Job) -> VideoResponse:
    entry = catalog.entries.get(job.model)
    return video_of(job, entry.facts.side if entry else None)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


async def _read(
    submitter: Submitter,
) -> tuple[CatalogEntry, dict[str, Any], str | None]:
    """The model, the body as JSON would have it, and the hash of a picture that came along."""
    request, store = submitter.request, submitter.store
    if not _is_form(request):
        body, _ = await read_json(request)
        return _entry(submitter, body), body, None
    async with uploaded_form(request, store.upload_space, REFERENCE) as (form, file):
        entry = _entry(submitter, form)
        if file is not None and PICTURE not in entry.schema["properties"]:
            message = f"{entry.id} sets no picture in motion: {REFERENCE} is not a parameter of it"
            raise Unprocessable(message, code="unknown_parameter", param=REFERENCE)
        fields = form_fields(form, entry.schema["properties"])
        if file is None:
            return entry, fields, None
        kept = await store.keep(submitter.owner, file)
        return entry, fields, kept.sha256


def _entry(submitter: Submitter, body: Mapping[str, Any]) -> CatalogEntry:
    model = named_model(body, submitter.settings.default_model("video"))
    return video_model(submitter.catalog, model)
