"""/sdapi/v1: what AUTOMATIC1111's clients ask of the web UI. A request for pictures is a job."""

import io
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from app.core.errors import Unprocessable, UnsupportedMedia
from app.core.schemas import Job
from app.deps import ServicesDep, get_catalog
from app.http.body_parsing import read_json
from app.http.openapi_examples import LOCATION, REPLAYED, IdempotencyKey, reply
from app.http.openapi_schemas import portable
from app.http.responses import json_reply
from app.openai.answer import Answer
from app.openai.parsing import read_as
from app.operations.retries import submit_registered
from app.operations.submit import Submitter
from app.sdapi.caller_state import CallerState, picture_model, picture_models, title_of
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
from app.sdapi.route import CallerDep, DialectRoute, dialect_errors
from app.sdapi.sampler_names import NAMES, name_of
from app.services import Services

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"], route_class=DialectRoute)

EMPTY_LISTS = (
    "embeddings",
    "face-restorers",
    "hypernetworks",
    "latent-upscale-modes",
    "loras",
    "prompt-styles",
    "script-info",
    "sd-vae",
)
"""What there is none of here. Clients ask for these when they connect."""
NO_SCRIPTS: dict[str, list[str]] = {"txt2img": [], "img2img": []}
NO_EMBEDDINGS: dict[str, dict[str, Any]] = {"loaded": {}, "skipped": {}}
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


def body_of(kind: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Returns what the document says of a body that the route reads itself."""
    content = {"schema": portable(kind.model_json_schema()), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


class OptionsRequest(BaseModel):
    model_config = ConfigDict(extra="allow")

    sd_model_checkpoint: str | None = Field(None, description="A title that `sd-models` lists.")


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

    A client that leaves has its job canceled, unless it sent an `Idempotency-Key`.
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
    entry = picture_model(services, title) if title else await state.entry()
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
    accepted, registration = await submit_registered(submitter, request_here.job_request, body)
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


@router.get("/options", summary="The chosen model", responses=dialect_errors(401, 404, 503))
async def get_options(services: ServicesDep, caller: CallerDep) -> Response:
    """The web UI's options that there are here; each key has its own."""
    await get_catalog(services)
    entry = await CallerState(services, caller).entry()
    return JSONResponse(_options(entry.id, entry.sha256))


@router.post(
    "/options",
    summary="Choose the model",
    responses=dialect_errors(400, 401, 404, 413, 415, 422, 503),
    openapi_extra=body_of(OptionsRequest, {"sd_model_checkpoint": "t2i-emoji"}),
)
async def set_options(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Chooses `sd_model_checkpoint` for the requests of this key that name no other.

    The answer lists other options that were sent, which have no effect.
    """
    await get_catalog(services)
    body, _ = await read_json(request)
    title = body.get("sd_model_checkpoint")
    state = CallerState(services, caller)
    if title is not None:
        if not isinstance(title, str):
            message = "sd_model_checkpoint must be a string"
            raise Unprocessable(message, param="sd_model_checkpoint")
        await state.choose(title)
    entry = await state.entry()
    shown = _options(entry.id, entry.sha256)
    read = ("sd_model_checkpoint", "sd_checkpoint_hash")  # clients send the old hash back
    ignored = [k[:100] for k, v in body.items() if k not in read and shown.get(k) != v]
    return JSONResponse({"without_effect": ignored} if ignored else {})


def _options(model: str, sha256: str) -> dict[str, Any]:
    return {
        "sd_model_checkpoint": model,
        "sd_checkpoint_hash": sha256,
        "sd_vae": "Automatic",
        "samples_format": "png",
        "CLIP_stop_at_last_layers": 1,
    }


@router.get("/sd-models", summary="The models of pictures", responses=dialect_errors(401, 503))
async def list_sd_models(services: ServicesDep, caller: CallerDep) -> Response:
    """Every model of pictures, those that read a prompt first."""
    await get_catalog(services)
    return JSONResponse(
        [
            {
                "title": title_of(entry),
                "model_name": entry.id,
                "hash": entry.sha256[:10],
                "sha256": entry.sha256,
                "filename": f"{entry.id}.safetensors",
                "config": None,
            }
            for entry in picture_models(services)
        ]
    )


@router.post("/refresh-checkpoints", summary="Does nothing", responses=dialect_errors(401))
async def refresh_checkpoints(caller: CallerDep) -> Response:
    """Models that were added are listed without it."""
    return JSONResponse({})


@router.get("/samplers", summary="The samplers", responses=dialect_errors(401, 503))
async def list_samplers(services: ServicesDep, caller: CallerDep) -> Response:
    """The samplers that any model of pictures takes."""
    await get_catalog(services)
    fields = [x.schema["properties"].get("sampler", {}) for x in picture_models(services)]
    known = {name for field in fields for name in field.get("enum", ())}
    ordered = sorted(known, key=lambda name: (name not in NAMES, name))
    return JSONResponse([{"name": name_of(x), "aliases": [x], "options": {}} for x in ordered])


@router.get("/schedulers", summary="The schedules of noise", responses=dialect_errors(401))
async def list_schedulers(caller: CallerDep) -> Response:
    """One: each model has its own."""
    return JSONResponse(
        [
            {
                "name": "automatic",
                "label": "Automatic",
                "aliases": None,
                "default_rho": -1,
                "need_inner_model": False,
            }
        ]
    )


@router.get("/upscalers", summary="The upscalers", responses=dialect_errors(401))
async def list_upscalers(caller: CallerDep) -> Response:
    """One that does nothing: a model's own upscaler follows from the size that is asked for."""
    none = {"model_name": None, "model_path": None, "model_url": None, "scale": 4}
    return JSONResponse([{"name": "None", **none}])


@router.get("/scripts", summary="There are none", responses=dialect_errors(401))
async def list_scripts(caller: CallerDep) -> Response:
    """The scripts of each kind of request: none."""
    return JSONResponse(NO_SCRIPTS)


def _add_empty_list(name: str) -> None:
    @router.get(f"/{name}", summary="There are none", name=name, responses=dialect_errors(401))
    async def list_none(caller: CallerDep) -> Response:
        """What the web UI has of these, and the service does not."""
        return JSONResponse(NO_EMBEDDINGS if name == "embeddings" else [])


for _name in EMPTY_LISTS:
    _add_empty_list(_name)


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
