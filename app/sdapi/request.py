"""A request of the web UI, read as one of a model's own.

1. What has a counterpart here is translated, and refused in the web UI's words.
2. What would change the picture and can't here is refused, unless its value asks for nothing.
3. All else has no effect. What was sent of it is listed in the answer's `info`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from app.catalog.catalog import CatalogEntry
from app.core.errors import InvalidRequest, Unprocessable
from app.openai.images.request import put_words
from app.openai.images.size import size_params
from app.openai.parsing import read_as
from app.operations.job_errors import renamed
from app.operations.submit import JobRequest, validated
from app.sdapi.sampler_names import name_of, sampler_of
from app.services import Services

THEIRS = {
    "class_label": "prompt",
    "guidance_scale": "cfg_scale",
    "init_image": "init_images",
    "n": "batch_size",
    "output_size": "width",
    "sampler": "sampler_name",
    "size": "width",
    "strength": "denoising_strength",
}
"""What the web UI calls some fields of the models here."""
INERT: Mapping[str, tuple[Any, ...]] = {
    "firstphase_height": (0,),
    "firstphase_width": (0,),
    "refiner_checkpoint": ("",),
    "restore_faces": (False,),
    "script_name": ("",),
    "seed_resize_from_h": (0, -1),
    "seed_resize_from_w": (0, -1),
    "styles": ([],),
    "subseed_strength": (0, 0.0),
    "tiling": (False,),
}
"""Fields of rule 2, with the values beside null that ask for nothing."""
SILENT = {"override_settings_restore_afterwards", "send_images", "denoising_strength", "mask"}
"""Fields without effect that need no mention where they have none."""
LISTED = 40
"""Fields without effect that an answer lists at most."""
USUAL_STRENGTH = 0.75
"""How far img2img changes a picture, from 0 to 1, where the request does not say."""


def _whole(value: float | None) -> int | None:
    if value is not None and not float(value).is_integer():
        raise ValueError("it must be a whole number")
    return None if value is None else int(value)


Whole = Annotated[
    int | float | None,
    AfterValidator(_whole),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
]
"""A whole number; clients write some of them as 20.0."""


class Txt2ImgRequest(BaseModel):
    """The fields that have a counterpart here; `model_extra` has the others."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    prompt: str = Field("", description="What to paint.", examples=["a red apple"])
    negative_prompt: str | None = Field("", description="What to keep out of it.")
    seed: Whole = Field(-1, description="Same request, same bytes; -1 lets the service choose.")
    steps: Whole = Field(None, description="Steps of the sampler, of models that have one.")
    cfg_scale: float | None = Field(None, description="`guidance_scale`, of models that have it.")
    width: Whole = Field(None, description="Of the picture, in pixels; with `height`.")
    height: Whole = Field(None, description="Of the picture, in pixels; with `width`.")
    batch_size: Whole = Field(1, description="With `n_iter`: their product is how many to make.")
    n_iter: Whole = Field(1, description="With `batch_size`.")
    sampler_name: str | None = Field(None, description="A name that `samplers` lists.")
    sampler_index: str | None = Field(None, description="The same, of old clients.")
    enable_hr: bool | None = Field(
        False, description="Makes the picture as large as the fields `hr_...` say, in one pass."
    )
    hr_scale: float | None = Field(2.0, gt=0, le=100, description="Times `width` and `height`.")
    hr_resize_x: Whole = Field(0, description="The width instead of `hr_scale`; 0 for none.")
    hr_resize_y: Whole = Field(0, description="The height instead of `hr_scale`; 0 for none.")
    override_settings: dict[str, Any] | None = Field(
        None, description="`sd_model_checkpoint` chooses the model of this request."
    )
    send_images: bool | None = Field(True, description="Whether the answer has the pictures.")
    alwayson_scripts: dict[str, Any] | None = Field(None, description="None is supported.")


class Img2ImgRequest(Txt2ImgRequest):
    """A picture to begin with, besides."""

    init_images: list[str] = Field(description="One picture in base64, or as a data URL.")
    mask: str | None = Field(None, description="A picture of the same size: white is repainted.")
    inpainting_mask_invert: Whole = Field(0, description="1 repaints what is black instead.")
    denoising_strength: float | None = Field(
        USUAL_STRENGTH, description="How far to change the picture: 0 to 1."
    )


@dataclass(frozen=True)
class Translated:
    """A request here, and the fields that have no effect on it."""

    job_request: JobRequest
    without_effect: list[str]


Files = Mapping[str, str]  # SHA-256 of posted pictures, by the name of the param


def read_txt2img(text: bytes) -> Txt2ImgRequest:
    """Raises InvalidRequest."""
    return read_as(Txt2ImgRequest, text, Txt2ImgRequest.model_json_schema)


def read_img2img(text: bytes) -> Img2ImgRequest:
    """Raises InvalidRequest."""
    return read_as(Img2ImgRequest, text, Img2ImgRequest.model_json_schema)


def chosen_title(asked: Txt2ImgRequest) -> str | None:
    """Returns the title of the model that a request overrides the choice with."""
    title = (asked.override_settings or {}).get("sd_model_checkpoint")
    if title is not None and not isinstance(title, str):
        param = "override_settings.sd_model_checkpoint"
        raise Unprocessable(f"{param} must be a string", param=param)
    return title or None


def translated(
    services: Services, asked: Txt2ImgRequest, entry: CatalogEntry, files: Files
) -> Translated:
    """Returns the model's own request. Raises InvalidRequest, in the web UI's words."""
    _refuse_what_has_no_counterpart(asked)
    takes: Mapping[str, Any] = entry.schema["properties"]
    fields: dict[str, Any] = {"model": entry.id, "output_format": "png", **files}
    ignored = _ignored(asked)
    put_words(asked.prompt, fields, entry, services.catalog)
    wanted = {
        "negative_prompt": asked.negative_prompt or None,
        "steps": asked.steps,
        "guidance_scale": asked.cfg_scale,
        "sampler": _sampler(asked, takes),
    }
    if isinstance(asked, Img2ImgRequest):
        wanted["strength"] = asked.denoising_strength
    guided = "guidance_scale" in takes and _takes_guidance(fields, entry)
    for name, value in wanted.items():
        if value is None:
            continue
        if name in takes and (name != "guidance_scale" or guided):
            fields[name] = value
        elif name == "negative_prompt":
            message = f"{entry.id} takes no negative_prompt"
            raise Unprocessable(message, code="unknown_parameter", param=name)
        else:
            ignored.append(THEIRS.get(name, name))
    if asked.seed not in (None, -1):
        fields["seed"] = asked.seed
    fields["n"] = _count(asked)
    try:
        if size := _size(asked):
            fields |= size_params(size, fields, entry, services.settings.sizes)
        params = validated(entry, json.dumps(fields), entry.schema)
    except InvalidRequest as error:
        raise renamed(error, THEIRS) from None
    return Translated(JobRequest(entry.family.modality, entry, params), sorted(ignored)[:LISTED])


def _refuse_what_has_no_counterpart(asked: Txt2ImgRequest) -> None:
    extra = asked.model_extra or {}
    if asked.enable_hr and isinstance(asked, Img2ImgRequest):
        raise Unprocessable("enable_hr is of txt2img: leave it out", param="enable_hr")
    for name, values in INERT.items():
        value = extra.get(name)
        if value is not None and value not in values:
            message = f"{name} is not supported here: leave it out"
            raise Unprocessable(message, param=name)
    for name, script in (asked.alwayson_scripts or {}).items():
        arguments = script.get("args") if isinstance(script, dict) else script
        if arguments not in (None, [], [False], {}):
            message = f"alwayson_scripts is not supported here: leave {name[:100]} out"
            raise Unprocessable(message, param="alwayson_scripts")


def _ignored(asked: Txt2ImgRequest) -> list[str]:
    extra = asked.model_extra or {}
    named = [name[:100] for name, value in extra.items() if value not in (None, "", [], {}, False)]
    settings = (asked.override_settings or {}).items()
    overridden = [f"override_settings.{k[:100]}" for k, v in settings if v is not None]
    without = [name for name in named if name not in SILENT and name not in INERT]
    return [*without, *(x for x in overridden if x != "override_settings.sd_model_checkpoint")]


def _takes_guidance(fields: Mapping[str, Any], entry: CatalogEntry) -> bool:
    """Whether a model is guided by what the fields say: one of kinds needs a kind."""
    return "class_label" not in entry.schema["properties"] or "class_label" in fields


def _sampler(asked: Txt2ImgRequest, takes: Mapping[str, Any]) -> str | None:
    name = asked.sampler_name or asked.sampler_index
    if not name or name.casefold() == "automatic" or "sampler" not in takes:
        return name or None if "sampler" not in takes else None
    known = takes["sampler"]["enum"]
    sampler = sampler_of(name, known)
    if sampler is None:
        listed = ", ".join(name_of(x) for x in known)
        message = f"sampler_name must be one of {listed}, not {name[:100]}"
        raise Unprocessable(message, param="sampler_name")
    return sampler


def _count(asked: Txt2ImgRequest) -> int:
    for name, value in (("batch_size", asked.batch_size), ("n_iter", asked.n_iter)):
        if value is not None and value < 1:
            raise Unprocessable(f"{name} must be at least 1", param=name)
    return int(asked.batch_size or 1) * int(asked.n_iter or 1)


def _size(asked: Txt2ImgRequest) -> str | None:
    """Returns the size of the picture, which is that of the second pass where one is asked for."""
    if asked.width is None and asked.height is None and not asked.enable_hr:
        return None
    for name, value in (("width", asked.width), ("height", asked.height)):
        if value is None or value < 1:
            raise Unprocessable(f"{name} must be at least 1, beside the other side", param=name)
    width, height = int(asked.width or 0), int(asked.height or 0)
    if asked.enable_hr:
        width, height = _enlarged(asked, width, height)
    return f"{width}x{height}"


def _enlarged(asked: Txt2ImgRequest, width: int, height: int) -> tuple[int, int]:
    """Returns the size that hires fix ends with: one side of two keeps the proportions."""
    wide, high = int(asked.hr_resize_x or 0), int(asked.hr_resize_y or 0)
    for name, side in (("hr_resize_x", wide), ("hr_resize_y", high)):
        if side < 0:
            raise Unprocessable(f"{name} must be at least 0", param=name)
    if wide or high:
        return wide or round(width * high / height) or 1, high or round(height * wide / width) or 1
    scale = asked.hr_scale or 2.0
    return int(width * scale) or 1, int(height * scale) or 1
