"""/jobs/events: several jobs followed over one connection."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from app.core.errors import NotFound, Unprocessable
from app.core.schemas import Job
from app.deps import NotifierDep, OwnerDep, QueueDep, StoreDep
from app.http.openapi_examples import JOB_ID, Replies, errors
from app.operations.event_stream import EventStream, Follower
from app.operations.merged_events import MergedFollower, is_seen, split_id
from app.queue.jobs import known
from app.queue.queue import Queue

router = APIRouter(tags=["jobs"])

MOST_JOBS = 32
SHOWN = 40  # letters of an id that a message repeats
EXAMPLE = (
    'event: progress\ndata: {"job_id":"' + JOB_ID + '","status":"in_progress","step":21,'
    '"steps":50,"value":0.42}\nid: 1790000000000-3,-\n\n'
)
EVENTS: Replies = {
    200: {
        "description": "The events of each job, as in a stream of its own, until all have ended. "
        "A snapshot and an end have the job's `id`, all others its `job_id`.",
        "content": {"text/event-stream": {"example": EXAMPLE}},
    },
    204: {"description": "`Last-Event-ID` names the last event of each job."},
    **errors(401, 404, 422, 503),
}


@router.get(
    "/jobs/events",
    summary="Follow several jobs",
    response_class=Response,
    responses=EVENTS,
)
async def follow_jobs(
    owner: OwnerDep,
    queue: QueueDep,
    notifier: NotifierDep,
    store: StoreDep,
    job: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=MOST_JOBS,
            description="The id of a job; repeat it.",
            json_schema_extra={"uniqueItems": True},
        ),
    ],
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="The last event that was seen."),
    ] = None,
) -> Response:
    """Server-sent events of up to 32 jobs over one connection.

    The id of an event has a place for each job, in the order of the query: name it with the same
    jobs after a drop, and nothing is missed or seen twice. `-` is a job of which nothing was seen.
    """
    if len(set(job)) < len(job):
        raise Unprocessable("job must name each job once", param="job")
    positions = split_id(last_event_id, len(job))
    views = await asyncio.gather(*(_snapshot(queue, owner, x) for x in job))
    followers = [
        Follower(queue, notifier, store, owner, view, newest, position)
        for (view, newest), position in zip(views, positions, strict=True)
    ]
    if all(map(is_seen, followers)):
        return Response(status_code=204)
    return EventStream(MergedFollower(followers).events())


async def _snapshot(queue: Queue, owner: str, job: str) -> tuple[Job, str]:
    try:
        return await queue.snapshot(owner, known(job))
    except NotFound as error:
        message = f"there is no job {job[:SHOWN]}"
        raise NotFound(message, code=error.code, param="job") from None
