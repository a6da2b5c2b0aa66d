"""How far a job is, in the web UI's words."""

import json
import time

from app.core.schemas import Job
from app.openai.images.response import PREVIEW
from app.queue.follow_marks import FollowMark
from app.sdapi.response import ProgressReply, ProgressState
from app.services import Services

IDLE = ProgressReply(progress=0.0, eta_relative=0.0, state=ProgressState())


async def progress_of(services: Services, job: Job | None, without_image: bool) -> ProgressReply:
    """Returns how far a job is, with its newest preview. Workers render one if someone looks."""
    if job is None:
        return IDLE
    progress = job.progress
    state = ProgressState(
        interrupted=job.status == "canceling",
        job=job.id,
        job_count=1,
        job_timestamp=str(job.created_at),
        sampling_step=progress.step,
        sampling_steps=progress.steps,
    )
    return ProgressReply(
        progress=progress.value,
        eta_relative=_seconds_to_go(job),
        state=state,
        current_image=None if without_image else await _newest_preview(services, job),
    )


def _seconds_to_go(job: Job) -> float:
    if job.started_at is None or not 0 < job.progress.value < 1:
        return 0.0
    taken = max(0.0, time.time() - job.started_at)
    return round(taken * (1 - job.progress.value) / job.progress.value, 1)


async def _newest_preview(services: Services, job: Job) -> str | None:
    await FollowMark(services.queue).renew(job)
    event = await services.queue.events.newest(job.id, "preview")
    if event is None:
        return None
    data = json.loads(event.data)["url"]
    return str(data).removeprefix(PREVIEW)
