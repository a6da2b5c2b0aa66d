"""/sdapi/v1: what AUTOMATIC1111's clients ask of the web UI. A request for pictures is a job."""

import io
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from app.core.errors import Unprocessable, UnsupportedMedia
from app.core.schemas import Job
from app.deps import ServicesDep, get_catalog
from app.http.body_parsing import read_json
from app.http.openapi_examples import LOCATION, REPLAYED, IdempotencyKey, reply
from app.http.responses import json_reply
from app.openai.answer import Answer
from app.openai.parsing import read_as
from app.operations.retries import submit_registered
from app.operations.submit import Submitter
from app.sdapi import option_routes
from app.sdapi.caller_state import CallerState, model_of_title
from app.sdapi.pictures import THEIRS as OWN_TEXT
from app.sdapi.pictures import decoded, facts_of, inverted, texts_of
from app.sdapi.progress import progress_of
from app.sdapi.request import (
    Img2ImgRequest,
    Txt2ImgRequest,
    chosen_title,
    read_img2img,
    read_txt2img,
    translated,
)
from app.sdapi.response import (
    GenerationReply,
    PngInfoReply,
    ProgressReply,
    generation_reply,
    infotext,
    parameters_of,
)
from app.sdapi.route import CallerDep, body_of, dialect_errors
from app.services import Services

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"])
router.include_router(option_routes.router)

MADE = {
    200: {
        **reply(
            "The pictures.",
            {"images": ["iVBORw0KGgo..."], "parameters": {"prompt": "a red apple"}, "info": "{}"},
            LOCATION | REPLAYED,
        ),
        "model": GenerationReply,
    },
    **dialect_errors(400, 401, 404, 409, 410, 413, 415, 422, 429, 503),
}


class PngInfoRequest(BaseModel):
    image: str = Field(description="A PNG file in base64, or as a data URL.")


@router.post(
    "/txt2img",
    summary="Make pictures, as AUTOMATIC1111 does",
    responses=MADE,
    openapi_extra=body_of(Txt2ImgRequest, {"prompt": "a red apple", "seed": 1234}),
)
async def txt2img(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Makes `batch_size` times `n_iter` pictures and answers when they are there.

    A client that leaves has its job canceled after 15 seconds, unless it sends the same request
    again before, or sent an `Idempotency-Key`.
    """
    body, text = await read_json(request)
    asked = read_txt2img(text)
    return await _generate(request, services, caller, asked, body, {})


@router.post(
    "/img2img",
    summary="Vary or repaint a picture, as AUTOMATIC1111 does",
    responses=MADE,
    openapi_extra=body_of(
        Img2ImgRequest, {"prompt": "a green apple", "init_images": ["iVBORw0KGgo..."]}
    ),
)
async def img2img(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Makes pictures from `init_images`, or repaints what is white in `mask`."""
    body, text = await read_json(request)
    asked = read_img2img(text)
    if len(asked.init_images) != 1:
        message = f"init_images must have one picture, not {len(asked.init_images)}"
        raise Unprocessable(message, param="init_images")
    if asked.inpainting_mask_invert not in (None, 0, 1):
        message = "inpainting_mask_invert must be 0 or 1"
        raise Unprocessable(message, param="inpainting_mask_invert")
    files = {"init_image": decoded(asked.init_images[0], "init_images")}
    if asked.mask:
        mask = decoded(asked.mask, "mask")
        if asked.inpainting_mask_invert:
            async with services.store.check_slot("image"):
                mask = await run_in_threadpool(inverted, mask, "mask")
        files["mask"] = mask
    return await _generate(request, services, caller, asked, body, files)


async def _generate(
    request: Request,
    services: Services,
    owner: str,
    asked: Txt2ImgRequest,
    body: dict[str, Any],
    pictures: Mapping[str, bytes],
) -> Response:
    await get_catalog(services)
    state = CallerState(services, owner)
    title = chosen_title(asked)
    entry = model_of_title(services, title) if title else await state.entry()
    files: dict[str, str] = {}
    for name, data in pictures.items():
        param = "init_images" if name == "init_image" else name
        if name not in entry.schema["properties"]:
            message = f"{entry.id} takes no {param}"
            raise Unprocessable(message, code="unknown_parameter", param=param)
        try:
            files[name] = (await services.store.keep(owner, io.BytesIO(data))).sha256
        except UnsupportedMedia:
            raise Unprocessable(f"{param} must be a picture", param=param) from None
    request_here = translated(services, asked, entry, files)
    submitter = Submitter.of(request, owner, services)
    whole_body = {"model": entry.id, "request": body}  # the chosen model is not in the body
    accepted, registration = await submit_registered(
        submitter, request_here.job_request, whole_body, uncounted=True
    )
    await state.begin(accepted.job)

    async def reply_to(job: Job) -> Response:
        answer = await services.store.run(
            generation_reply,
            job,
            entry,
            body,
            request_here.without_effect,
            services.store.backend,
        )
        return json_reply(answer, headers=answers.headers)

    answers = Answer(submitter, accepted, registration)
    return await answers.once_ended(reply_to)


@router.get(
    "/progress",
    summary="How far the last job is",
    response_model=ProgressReply,
    responses=dialect_errors(401, 422, 503),
)
async def get_progress(
    services: ServicesDep, caller: CallerDep, skip_current_image: bool = False
) -> Response:
    """The last job of this key that began here, while it runs or waits."""
    job = await CallerState(services, caller).job()
    return json_reply(await progress_of(services, job, skip_current_image))


@router.post("/interrupt", summary="Cancel the last job", responses=dialect_errors(401, 503))
async def interrupt(services: ServicesDep, caller: CallerDep) -> Response:
    """Cancels the last job of this key that began here, if it runs or waits.

    The request that waits for it is answered with an error: nothing was made.
    """
    job = await CallerState(services, caller).job()
    if job is not None:
        await services.queue.cancel(caller, job.id)
    headers = {"x-job-id": job.id} if job else {}
    return JSONResponse({}, headers=headers)


@router.post(
    "/png-info",
    summary="What made a picture",
    response_model=PngInfoReply,
    responses=dialect_errors(400, 401, 413, 415, 422),
    openapi_extra=body_of(PngInfoRequest, {"image": "iVBORw0KGgo..."}),
)
async def png_info(request: Request, caller: CallerDep) -> Response:
    """Reads what the service, or the web UI, wrote into a PNG file."""
    _, text = await read_json(request)
    asked = read_as(PngInfoRequest, text, PngInfoRequest.model_json_schema)
    data = decoded(asked.image, "image")
    texts = await run_in_threadpool(texts_of, data, "image")
    facts = facts_of(texts)
    if facts is None:
        return json_reply(PngInfoReply(info=texts.get(OWN_TEXT, ""), items=texts, parameters={}))
    size = {"output_size": facts["output_size"]} if "output_size" in facts else {}
    named = (facts["model"], facts["checkpoint"], facts["params"] | size, facts["seed"])
    return json_reply(
        PngInfoReply(info=infotext(*named), items=texts, parameters=parameters_of(*named))
    )
