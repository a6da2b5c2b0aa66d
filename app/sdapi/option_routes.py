"""/sdapi/v1: the chosen model, and the lists that AUTOMATIC1111's clients ask for first."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Unprocessable
from app.deps import ServicesDep, get_catalog
from app.http.body_parsing import read_json
from app.sdapi.caller_state import CallerState, picture_models
from app.sdapi.route import CallerDep, body_of, dialect_errors
from app.sdapi.sampler_names import NAMES, name_of

router = APIRouter()
outside = APIRouter(tags=["sdapi"])
"""What clients ask of the web UI itself, whose paths don't begin with `/sdapi/v1`."""

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


class OptionsRequest(BaseModel):
    model_config = ConfigDict(extra="allow")

    sd_model_checkpoint: str | None = Field(None, description="A title that `sd-models` lists.")


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
                "title": entry.id,
                "model_name": entry.id,
                "hash": entry.sha256[:10],
                "sha256": entry.sha256,
                "filename": f"{entry.id}.safetensors",
                "config": None,
            }
            for entry in picture_models(services)
        ]
    )


@outside.get(
    "/queue/status", summary="Whether the web UI is there", responses=dialect_errors(401, 503)
)
async def get_queue_status(services: ServicesDep, caller: CallerDep) -> Response:
    """What Krita's plugins ask first. `queue_size` is 1 while the last job of this key runs."""
    job = await CallerState(services, caller).job()
    size = 0 if job is None else 1
    return JSONResponse({"msg": "estimation", "queue_size": size, "queue_eta": 0})


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
