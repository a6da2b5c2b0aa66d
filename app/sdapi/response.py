"""Answers in the web UI's words."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from app.catalog.catalog import CatalogEntry
from app.core.errors import Gone
from app.core.schemas import Job, Schema
from app.core.store import Missing, Store
from app.sdapi.sampler_names import name_of


class GenerationReply(Schema):
    images: list[str] = Field(description="The pictures, PNG in base64.")
    parameters: dict[str, Any] = Field(description="The request, without its pictures.")
    info: str = Field(description="JSON: seeds, the model, notes, and fields without effect.")


class ProgressState(Schema):
    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    job: str = Field(default="", description="The id of the job.")
    job_count: int = 0
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class ProgressReply(Schema):
    progress: float = Field(description="0 to 1; 0 where no job runs.")
    eta_relative: float = Field(description="Seconds to go, by the steps so far; 0 if unknown.")
    state: ProgressState
    current_image: str | None = Field(default=None, description="PNG in base64.")
    textinfo: str | None = None


class PngInfoReply(Schema):
    info: str = Field(description="The parameters as one text; empty if the picture has none.")
    items: dict[str, str] = Field(description="The texts of the file.")
    parameters: dict[str, Any] = Field(description="The parameters by the web UI's names.")


def generation_reply(
    job: Job, entry: CatalogEntry, body: Mapping[str, Any], without_effect: list[str], store: Store
) -> GenerationReply:
    """Returns a job that has ended. Blocks. Raises Gone."""
    pictures = [x for x in job.outputs if x.role == "picture"]
    sent = body.get("send_images") is not False
    try:
        images = [base64.b64encode(store.get(x.sha256)).decode() for x in pictures if sent]
    except Missing:
        raise Gone("what was made is no longer stored") from None
    shown = {k: v for k, v in body.items() if k not in ("init_images", "mask")}
    texts = [infotext(job.model, entry.sha256, job.input, x.seed) for x in pictures]
    width, height = (pictures[0].width, pictures[0].height) if pictures else (None, None)
    info = {
        "prompt": job.input.get("prompt") or job.input.get("class_label") or "",
        "all_prompts": [job.input.get("prompt") or job.input.get("class_label") or ""]
        * len(pictures),
        "negative_prompt": job.input.get("negative_prompt") or "",
        "seed": job.seed,
        "all_seeds": [x.seed for x in pictures],
        "width": width,
        "height": height,
        "sampler_name": name_of(str(job.input.get("sampler") or "")),
        "cfg_scale": job.input.get("guidance_scale"),
        "steps": job.input.get("steps"),
        "batch_size": len(pictures),
        "denoising_strength": job.input.get("strength"),
        "sd_model_name": job.model,
        "sd_model_hash": entry.sha256[:10],
        "job_timestamp": str(job.created_at),
        "index_of_first_image": 0,
        "infotexts": texts,
        "notes": sorted({note for output in job.outputs for note in output.notes}),
        "without_effect": without_effect,
        "job_id": job.id,
        "sha256": [x.sha256 for x in pictures],
    }
    return GenerationReply(images=images, parameters=shown, info=json.dumps(info))


def parameters_of(model: str, sha256: str, params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Returns what made a picture, by the web UI's names."""
    named = {
        "Prompt": params.get("prompt") or params.get("class_label") or "",
        "Negative prompt": params.get("negative_prompt"),
        "Steps": params.get("steps"),
        "Sampler": name_of(params["sampler"]) if params.get("sampler") else None,
        "CFG scale": params.get("guidance_scale"),
        "Seed": seed,
        "Size": params.get("output_size"),
        "Denoising strength": params.get("strength"),
        "Model hash": sha256[:10],
        "Model": model,
    }
    return {name: value for name, value in named.items() if value is not None}


def infotext(model: str, sha256: str, params: Mapping[str, Any], seed: int) -> str:
    """Returns the same as the text that the web UI writes into its pictures."""
    named = parameters_of(model, sha256, params, seed)
    prompt, negative = named.pop("Prompt"), named.pop("Negative prompt", None)
    lines = [prompt, *([f"Negative prompt: {negative}"] if negative else [])]
    return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in named.items())])
