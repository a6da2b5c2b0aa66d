"""A job that makes a video, in OpenAI's words."""

from typing import Any, Literal

from pydantic import Field

from app.core.schemas import Job, Schema

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]
Variant = Literal["video", "thumbnail", "spritesheet"]

STATUSES: dict[str, VideoStatus] = {
    "queued": "queued",
    "in_progress": "in_progress",
    "canceling": "in_progress",
    "completed": "completed",
    "expired": "completed",  # that its files are gone, `expires_at` says
    "failed": "failed",
    "canceled": "failed",
}
ROLES: dict[Variant, str] = {"video": "video", "thumbnail": "poster", "spritesheet": "sheet"}
"""The output of a job that each variant is."""
OURS, THEIRS = "job_", "video_"  # how the id of one and the same job begins


class VideoError(Schema):
    code: str
    message: str


class VideoResponse(Schema):
    """A video that is made, or will be."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: VideoStatus
    progress: int = Field(ge=0, le=100)
    created_at: int
    completed_at: int | None = None
    expires_at: int | None = None
    prompt: str | None = None
    seconds: str
    size: str
    remixed_from_video_id: str | None = None
    error: VideoError | None = None
    job_id: str
    seed: int = Field(description="With the same request, it makes this video again.")
    notes: list[str] = Field(default=[], description="Such as words that were not understood.")


class VideoList(Schema):
    object: Literal["list"] = "list"
    data: list[VideoResponse]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(Schema):
    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


def video_id(job_id: str) -> str:
    return job_id.replace(OURS, THEIRS, 1)


def job_id(video: str) -> str:
    """The id of the job of a video; of what is no video's id, one that no job has."""
    return video.replace(THEIRS, OURS, 1) if video.startswith(THEIRS) else ""


def video_of(job: Job, side: int | None) -> VideoResponse:
    """`side` is that of the frames that its model makes, where it is known."""
    status = STATUSES[job.status]
    done = status == "completed"
    return VideoResponse(
        id=video_id(job.id),
        model=job.model,
        status=status,
        progress=100 if done else min(99, int(100 * job.progress.value)),
        created_at=job.created_at,
        completed_at=job.completed_at if done else None,
        expires_at=job.expires_at,
        prompt=job.input.get("prompt"),
        seconds=_seconds(job.input),
        size=_size(job, side),
        error=_error(job),
        job_id=job.id,
        seed=job.seed,
        notes=[note for output in job.outputs for note in output.notes],
    )


def _seconds(params: dict[str, Any]) -> str:
    return f"{params['frames'] * params['repeat'] / params['fps']:g}"


def _size(job: Job, side: int | None) -> str:
    for output in job.outputs:
        if output.role == "video":
            return f"{output.width}x{output.height}"
    if job.input.get("output_size"):
        return str(job.input["output_size"])
    if side is None:
        return "auto"
    large = side * int(job.input.get("upscale", 1))
    return f"{large}x{large}"


def _error(job: Job) -> VideoError | None:
    if job.status == "canceled":
        return VideoError(code="canceled", message=f"{job.id} was canceled")
    if job.error is None:
        return None
    return VideoError(code=job.error.code, message=job.error.message)
