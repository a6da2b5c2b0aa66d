"""POST /v1/audio/generate: music from free words, as bytes, for clients of vLLM-Omni."""

from fastapi import APIRouter, Response

from app.core.errors import Gone
from app.core.schemas import Job
from app.core.store import Missing
from app.files.uploads import SUFFIXES
from app.http.body_parsing import read_json
from app.http.openapi_examples import (
    LOCATION,
    REPLAYED,
    REQUEST_ID,
    IdempotencyKey,
    Replies,
    errors,
    file_of,
    header,
)
from app.openai.answer import Answer
from app.openai.music.request import ParsedMusicRequest, read_request
from app.operations.retries import submit_registered
from app.operations.submit import SubmitterDep

router = APIRouter(tags=["openai"])

UNDERSTOOD = {"x-understood": header("What the words were taken for.", "style jazz, tempo 76.0")}
REPLIES: Replies = {
    200: {
        "description": "The sound, in the format that was asked for.",
        "headers": {**REQUEST_ID, **LOCATION, **REPLAYED, **UNDERSTOOD},
        "content": file_of("audio/*"),
    },
    **errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503),
}


@router.post(
    "/v1/audio/generate",
    summary="Make music from words",
    response_class=Response,
    responses=REPLIES,
)
async def generate_music(
    submitter: SubmitterDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Makes one piece of what `input` says, and answers with its bytes.

    Words are understood by a table: styles and what is like them, tempos, keys. What they were
    taken for is in `x-understood` and in the job's `metadata`; where they mean nothing to the
    model, the style is drawn. A model's own params go before them. It is a job like any other
    (`Location`); a client that leaves has it canceled, unless it sent an `Idempotency-Key`.
    """
    body, text = await read_json(submitter.request)
    parsed = read_request(submitter.catalog, submitter.settings, body, text)
    accepted, registration = await submit_registered(submitter, parsed.job_request, body)
    answer = Answer(submitter, accepted, registration)

    async def reply(job: Job) -> Response:
        return await _file(job, answer, parsed)

    return await answer.once_ended(reply)


async def _file(job: Job, answer: Answer, parsed: ParsedMusicRequest) -> Response:
    """The first file of a job: its sound, where it makes any."""
    output = job.outputs[0]
    try:
        data = await answer.submitter.store.get(output.sha256)
    except Missing:
        raise Gone("this artifact is no longer stored") from None
    understood = parsed.understood.summary.encode("ascii", "backslashreplace").decode()
    name = f"{job.model}-{output.seed}.{SUFFIXES[output.content_type]}"
    headers = {
        **answer.headers,
        "x-understood": understood,
        "Content-Disposition": f'inline; filename="{name}"',
    }
    return Response(data, 200, headers, media_type=output.content_type)
