"""/jobs: look, list, cancel, follow, delete."""

import asyncio
import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.core.errors import NotFound
from app.core.schemas import TERMINAL, Job, JobDeleted, JobList, ModalityName, Status
from app.core.wav import CONTENT_TYPE
from app.deps import NotifierDep, OwnerDep, QueueDep, StoreDep
from app.files.long_fields import shortened, whole
from app.http.openapi_examples import (
    ETAG,
    JOB_EXAMPLE,
    JOB_ID,
    RETRY_AFTER,
    Replies,
    errors,
    file_of,
    reply,
)
from app.http.responses import job_reply, job_reply_if_changed, json_reply
from app.http.streaming import LiveStream
from app.operations.audio_stream import Listener
from app.operations.event_stream import EventStream, Follower
from app.queue.job_search import (
    LATEST,
    MOST_EXAMINED,
    MOST_LETTERS,
    MOST_TERMS,
    JobFilter,
    split_terms,
)
from app.queue.jobs import PATTERN, known

router = APIRouter(tags=["jobs"])
log = logging.getLogger("atelier.jobs")

JobId = Annotated[str, Path(description="The id of a job.", examples=[JOB_ID])]


class JobListQuery(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = Field(None, description="Only jobs of this status.")
    type: ModalityName | None = Field(None, description="Only jobs that make this.")
    model: str | None = Field(
        None, min_length=1, max_length=200, description="Only jobs of the model with this id."
    )
    q: str | None = Field(
        None,
        min_length=1,
        max_length=MOST_LETTERS,
        description=f"Words, at most {MOST_TERMS}: only jobs whose texts have all of them, in "
        "upper or lower case. Texts are those of `input`, and the `title` and `text` of outputs.",
    )
    created_after: int | None = Field(
        None,
        ge=0,
        le=LATEST,
        description="Only jobs created at this time or later, in seconds since 1970.",
    )
    created_before: int | None = Field(
        None,
        ge=0,
        le=LATEST,
        description="Only jobs created before this time, in seconds since 1970.",
    )
    after: str | None = Field(
        None, pattern=PATTERN, description="Only jobs that come after this one: `last_id`."
    )
    limit: int = Field(20, ge=1, le=100, description="At most so many.")
    order: Literal["asc", "desc"] = Field("desc", description="By time; newest first is `desc`.")
    full: bool = Field(False, description="Whether to include long texts.")

    @field_validator("q")
    @classmethod
    def _has_terms(cls, value: str | None) -> str | None:
        if value is not None:
            split_terms(value)
        return value

    @property
    def filter(self) -> JobFilter:
        return JobFilter(
            **self.model_dump(exclude={"full", "q"}), terms=split_terms(self.q) if self.q else ()
        )


LIST_EXAMPLE = {
    "object": "list",
    "data": [JOB_EXAMPLE],
    "first_id": JOB_ID,
    "last_id": JOB_ID,
    "has_more": False,
}


@router.get(
    "/jobs",
    summary="List your jobs",
    description="Pages by cursor: pass `last_id` as `after` while `has_more` is true. Long texts "
    "are left out, and `omitted` names them; `full=true` includes them.\n\nWith `q` or `model`, "
    f"one request examines at most {MOST_EXAMINED} jobs, and `last_id` is the last one examined. A "
    "page can then have fewer jobs than `limit`, or none, while `has_more` is true.",
    response_model=JobList,
    responses={200: reply("A page of jobs.", LIST_EXAMPLE), **errors(401, 422, 503)},
)
async def list_jobs(
    owner: OwnerDep, queue: QueueDep, store: StoreDep, wanted: Annotated[JobListQuery, Query()]
) -> Response:
    listed = await queue.list(owner, wanted.filter)
    if wanted.full:
        data = await asyncio.gather(*(whole(store, job) for job in listed.data))
    else:
        data = [shortened(job) for job in listed.data]
    return json_reply(listed.model_copy(update={"data": data}))


@router.get(
    "/jobs/{job_id}",
    summary="Look at a job",
    response_model=Job,
    responses={
        200: reply("The job.", JOB_EXAMPLE, ETAG | RETRY_AFTER),
        304: {"description": "It is as `If-None-Match` says.", "headers": ETAG},
        **errors(401, 404, 503),
    },
)
async def get_job(
    request: Request,
    owner: OwnerDep,
    queue: QueueDep,
    store: StoreDep,
    job_id: JobId,
) -> Response:
    """The job as it is now; `Retry-After` while it is active, an `ETag` always."""
    job = await queue.fetch(owner, known(job_id))
    return job_reply_if_changed(request, await whole(store, job))


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Cancel a job",
    response_model=Job,
    responses={200: reply("The job.", JOB_EXAMPLE, RETRY_AFTER), **errors(401, 404, 503)},
)
async def cancel_job(owner: OwnerDep, queue: QueueDep, store: StoreDep, job_id: JobId) -> Response:
    """Asks for its end; asked again, or of a job that has ended, nothing changes."""
    job = await queue.cancel(owner, known(job_id))
    log.info(job.status, extra={"job": job.id, "owner": owner, "model": job.model})
    return job_reply(await whole(store, job))


DELETED = {"id": JOB_ID, "object": "job.deleted", "deleted": True}


@router.delete(
    "/jobs/{job_id}",
    summary="Delete a job",
    response_model=JobDeleted,
    responses={200: reply("It is gone.", DELETED), **errors(401, 404, 503)},
)
async def delete_job(owner: OwnerDep, queue: QueueDep, job_id: JobId) -> Response:
    """Cancels it if it is active; its record goes, and its artifacts that no other job shares."""
    await queue.delete(owner, known(job_id))
    log.info("deleted", extra={"job": job_id, "owner": owner})
    return json_reply(JobDeleted(id=job_id))


EVENTS_EXAMPLE = (
    'event: status\ndata: {"id":"' + JOB_ID + '","status":"queued"}\nid: 1790000000000-0\n\n'
)
EVENTS: Replies = {
    200: {
        "description": "Events, until the one that ends the job: `status`, `progress`, `preview`, "
        "`output`, then `completed`, `failed` or `canceled` with the whole job.",
        "content": {"text/event-stream": {"example": EVENTS_EXAMPLE}},
    },
    204: {"description": "`Last-Event-ID` names the job's last event: there is no more."},
    **errors(401, 404, 503),
}


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=Response,
    responses=EVENTS,
)
async def follow_job(
    owner: OwnerDep,
    queue: QueueDep,
    notifier: NotifierDep,
    store: StoreDep,
    job_id: JobId,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="The last event that was seen."),
    ] = None,
) -> Response:
    """Server-sent events. A fresh reader first gets the whole job; one that names its last event
    misses nothing and sees nothing twice."""
    job, newest = await queue.snapshot(owner, known(job_id))
    if job.status in TERMINAL and last_event_id == newest:
        return Response(status_code=204)
    return EventStream(Follower(queue, notifier, store, owner, job, newest, last_event_id).events())


SOUND: Replies = {
    200: {
        "description": "A WAV file that does not say how long it is; shorter than it was to be "
        "where the job ends before its sound does.",
        "content": file_of(CONTENT_TYPE),
    },
    **errors(401, 404, 409, 410, 422, 503),
}


@router.get(
    "/jobs/{job_id}/audio",
    summary="Listen to a job",
    response_class=Response,
    responses=SOUND,
)
async def listen_to_job(
    owner: OwnerDep,
    queue: QueueDep,
    notifier: NotifierDep,
    store: StoreDep,
    job_id: JobId,
    index: Annotated[int, Query(ge=0, description="Which of the job's items.")] = 0,
) -> Response:
    """An item's sound as it is made, from its beginning, so that a player starts at once.

    The samples are those of the finished file, whatever its format; after the job's end the same
    bytes come, for as long as its results are kept. Who hangs up leaves the job as it is.
    """
    job = await queue.fetch(owner, known(job_id))
    if job.type != "audio":
        message = f"{job.id} makes no sound"
        raise NotFound(message, code="artifact_not_found")
    if index >= (items := job.input["n"]):
        message = f"{job.id} has no item {index}: it makes {items}"
        raise NotFound(message, code="artifact_not_found", param="index")
    listener = Listener(queue, notifier, store, owner, job, index)
    await listener.check()
    return LiveStream(listener.sound(), CONTENT_TYPE)
