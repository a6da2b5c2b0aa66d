"""POST /generate/*: a request becomes a job."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.core.schemas import Job
from app.deps import Has, Owner
from app.http.openapi_examples import (
    APPLIED,
    JOB_EXAMPLE,
    LOCATION,
    QUEUED_EXAMPLE,
    REPLAYED,
    RETRY_AFTER,
    SHA256,
    IdempotencyKey,
    Prefer,
    Replies,
    errors,
    reply,
)
from app.operations.submit import Route, generate

router = APIRouter(tags=["generate"])

SOUND = {
    "index": 0,
    "role": "audio",
    "url": f"/artifacts/{SHA256}",
    "sha256": SHA256,
    "content_type": "audio/wav",
    "bytes": 160_194,
    "seed": 1234,
    "seconds": 5.0,
    "rate": 16_000,
    "channels": 1,
}
SOUND_JOB = {
    **JOB_EXAMPLE,
    "type": "audio",
    "model": "wavenet-music",
    "input": {
        "style": "jazz",
        "seconds": 5.0,
        "n": 1,
        "seed": 1234,
        "output_format": "wav",
    },
    "outputs": [SOUND],
}
VIDEO_JOB = {
    **JOB_EXAMPLE,
    "type": "video",
    "model": "video-diffusion-emoji",
    "input": {
        "prompt": "a waving hand",
        "frames": 16,
        "fps": 8.0,
        "n": 1,
        "seed": 1234,
        "output_format": "mp4",
    },
    "outputs": [
        {
            "index": 0,
            "role": "video",
            "url": f"/artifacts/{SHA256}",
            "sha256": SHA256,
            "content_type": "video/mp4",
            "bytes": 12_264,
            "seed": 1234,
            "width": 64,
            "height": 64,
            "frames": 16,
            "seconds": 2.0,
            "fps": 8.0,
        }
    ],
}
WRITTEN = {
    "index": 0,
    "role": "text",
    "url": f"/artifacts/{SHA256}",
    "sha256": SHA256,
    "content_type": "text/plain; charset=utf-8",
    "bytes": 1204,
    "seed": 1234,
    "text": "Once upon a time, a lighthouse keeper ...",
    "title": "The Keeper and the Whale",
    "finish_reason": "stop",
    "prompt_tokens": 58,
    "completion_tokens": 291,
}
STORY_JOB = {
    **JOB_EXAMPLE,
    "type": "story",
    "model": "smollm2-135m",
    "input": {
        "kind": "story",
        "prompt": "a lighthouse keeper who befriends a whale",
        "max_tokens": 400,
        "n": 1,
        "seed": 1234,
        "output_format": "txt",
    },
    "outputs": [WRITTEN],
}


def replies(made: dict[str, Any]) -> Replies:
    """What a route answers whose jobs end like this one."""
    queued = {k: v for k, v in QUEUED_EXAMPLE.items() if k not in ("type", "model", "input")}
    ended = reply("It ended while the client waited.", made, LOCATION | REPLAYED | APPLIED)
    return {
        200: {**ended, "model": Job},
        202: reply("Accepted.", {**made, **queued}, LOCATION | REPLAYED | RETRY_AFTER),
        **errors(400, 401, 404, 410, 413, 415, 422, 429, 503),
    }


REPLIES = replies(JOB_EXAMPLE)


@router.post(
    "/generate/image",
    summary="Make pictures",
    status_code=202,
    response_model=Job,
    responses=REPLIES,
)
async def generate_image(
    request: Request,
    services: Has,
    owner: Owner,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Accepts a job that makes `n` pictures with one model.

    The body is the model's own request: see `GET /models/{id}` for its parameters. Item 0 uses
    the seed unchanged and item i one derived from it; each output's seed, posted alone, repeats
    its file. A walk (`interpolate`) gives a sheet and an animation, which is always WebP. A picture
    to vary (`init_image`) is posted to `/artifacts` first.
    """
    return await generate(request, services, owner, Route.of("image", services.settings))


@router.post(
    "/generate/text-to-image",
    summary="Paint what words say",
    status_code=202,
    response_model=Job,
    responses=REPLIES,
)
async def generate_text_to_image(
    request: Request,
    services: Has,
    owner: Owner,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Accepts a job that paints `n` pictures of what `prompt` says.

    The body is the model's own request: see `GET /models/{id}` for its parameters. Words that the
    model doesn't know are left out, and noted with each output. A picture to start from
    (`init_image`) and a mask of what to repaint (`mask`) are posted to `/artifacts` first.
    """
    return await generate(request, services, owner, Route.of("text-to-image", services.settings))


@router.post(
    "/generate/audio",
    summary="Make music",
    status_code=202,
    response_model=Job,
    responses=replies(SOUND_JOB),
)
async def generate_audio(
    request: Request,
    services: Has,
    owner: Owner,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Accepts a job that makes `n` pieces of music with one model.

    The body is the model's own request: see `GET /models/{id}` for its parameters. A style that is
    left out is drawn, and noted with each output.
    """
    return await generate(request, services, owner, Route.of("audio", services.settings))


@router.post(
    "/generate/video",
    summary="Make moving pictures",
    status_code=202,
    response_model=Job,
    responses=replies(VIDEO_JOB),
)
async def generate_video(
    request: Request,
    services: Has,
    owner: Owner,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Accepts a job that makes `n` videos of what `prompt` says.

    The body is the model's own request: see `GET /models/{id}` for its parameters. Each video is a
    loop, and has its first frame (`poster`) and a sheet of all frames beside it, as PNG. Words that
    the model doesn't know are left out, and noted with the output.
    """
    return await generate(request, services, owner, Route.of("video", services.settings))


@router.post(
    "/generate/story",
    summary="Write",
    status_code=202,
    response_model=Job,
    responses=replies(STORY_JOB),
)
async def generate_story(
    request: Request,
    services: Has,
    owner: Owner,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Accepts a job that writes `n` texts with one model: a `story` or a `poem` about `prompt`, a
    `continuation` of `text`, or an answer to `messages`.

    The body is the model's own request: see `GET /models/{id}` for its parameters. Its events tell
    the text as it is written (`delta`, each with the letters before it as `offset`); until it is
    whole, the job has it as `drafts`.
    """
    return await generate(request, services, owner, Route.of("story", services.settings))
