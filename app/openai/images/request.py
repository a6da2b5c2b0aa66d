"""OpenAI's request for pictures, read as one of ours.

1. Fields of OpenAI's that the client package sends are taken. Those that can't matter here have no
   effect and say so; those that ask for what no model here can do are refused.
2. Every other field is the model's own, and refused by name if the model lacks it.
3. Null is as good as left out, for what OpenAI calls optional.
4. A model that takes no words takes a prompt that names one of its kinds, or none; what it says
   beside `class_label` has no effect.
5. One that a CLIP leads takes any prompt: a kind's name is the kind, unless `class_label` or the
   lead's own fields are given. All other words are for its CLIP.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from app.catalog.catalog import Catalog, CatalogEntry
from app.core.errors import InvalidRequest, NotFound, Unprocessable
from app.core.settings import Settings
from app.http.validation_errors import Schema
from app.openai.images.response import Action
from app.openai.images.size import (
    Sizes,
    refused_as_size,
    size_conflicts,
    size_params,
    size_schema,
)
from app.openai.json_schema import NULL, either, or_null
from app.openai.parsing import named_model, read_as
from app.operations.submit import JobRequest, validated
from models.modalities import MODALITIES
from models.params.conflicts import ABSENT, Conflict, forbid, one_of, other_than
from models.params.fields import not_boolean

DALL_E = "dall-e-"  # how the names of models begin that answer with URLs if not asked otherwise
VIVID = ("vivid", "natural")  # the styles of OpenAI's that have no effect
OPTIONAL = ("model", "n", "output_format", "style")  # of OpenAI's, and of models here
BESIDE_WORDS = ("class_label", "clip_guidance_scale", "clip_guidance_every")
"""With any of these a prompt is for the CLIP that leads, even if it names a kind."""
CONFLICTS: tuple[Conflict, ...] = (
    {"partial_images": other_than(None, 0), "stream": one_of(None, False)},
    {"response_format": one_of("url"), "stream": one_of(True)},
)
NO_EFFECT = "Taken without effect: "


class ImageRequest(BaseModel):
    """The fields that are OpenAI's alone; `model_extra` has the model's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    prompt: str = Field(
        description="What to paint. A model that can do without words takes one of its labels "
        "here, or nothing, and any other words if a CLIP leads it.",
        examples=["a red apple"],
    )
    size: str | None = Field(
        default=None,
        description="WIDTHxHEIGHT, one that the model can make, or `auto`.",
        examples=["auto"],
    )
    stream: bool | None = Field(
        default=None, description="Send events: partial pictures, then each whole one."
    )
    partial_images: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="With `stream`: at most so many pictures on the way, over the whole run.",
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        default=None,
        description="If left out `b64_json`, or `url` for an alias that begins with `dall-e-`. A "
        "`url` is fetched with the same key.",
    )
    output_compression: Annotated[Literal[100] | None, BeforeValidator(not_boolean)] = Field(
        default=None, description="Only 100: PNG and WebP are lossless here, JPEG has quality 95."
    )
    background: Literal["auto", "opaque"] | None = Field(
        default=None, description="No model here makes transparent pictures."
    )
    quality: Literal["auto", "standard", "hd", "low", "medium", "high", "xhigh", "max"] | None = (
        Field(default=None, description=f"{NO_EFFECT}`steps` is what a model here takes.")
    )
    complexity: Literal["low", "medium", "high"] | None = Field(
        default=None, description=f"{NO_EFFECT}no model here plans a picture."
    )
    moderation: Literal["auto", "low"] | None = Field(
        default=None, description=f"{NO_EFFECT}nothing is moderated here."
    )
    user: str | None = Field(
        default=None, description=f"{NO_EFFECT}the key says who asks; see `metadata`."
    )
    safety_identifier: str | None = Field(default=None, description=f"{NO_EFFECT}as `user`.")

    action: ClassVar[Action] = "image_generation"
    """How the events of a stream begin."""
    names: ClassVar[Mapping[str, str]] = {}
    """What some of the model's own fields are called here."""

    @property
    def by_url(self) -> bool:
        """Whether pictures are told by their addresses: as was asked, or as OpenAI's own models do
        that are called DALL-E."""
        if self.response_format is None and not self.stream:
            return str((self.model_extra or {}).get("model", "")).startswith(DALL_E)
        return self.response_format == "url"

    @field_validator("partial_images")
    @classmethod
    def _on_the_way(cls, count: int | None, info: ValidationInfo) -> int | None:
        if count and not info.data.get("stream"):
            raise ValueError("partial_images needs stream")
        return count

    @field_validator("response_format")
    @classmethod
    def _in_the_event(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "url" and info.data.get("stream"):
            raise ValueError("response_format must be b64_json with stream: events hold pictures")
        return value


def read_request(
    catalog: Catalog, settings: Settings, body: Mapping[str, Any], text: bytes
) -> tuple[ImageRequest, JobRequest]:
    """Returns what is OpenAI's of a body, and its job. Raises NotFound, InvalidRequest."""
    model = named_model(body, settings.default_model("text-to-image"))
    entry = picture_model(catalog, model)
    schema = in_dialect(entry, entry.schema, settings.sizes)
    asked = read_as(ImageRequest, text, lambda: schema)
    fields = model_fields(asked, entry, catalog)
    return asked, job_request(asked, fields, entry, settings.sizes, schema)


def job_request(
    asked: ImageRequest,
    fields: dict[str, Any],
    entry: CatalogEntry,
    sizes: Sizes,
    schema: Schema,
) -> JobRequest:
    """The job of a request whose fields are the model's own. Raises InvalidRequest, in words of the
    schema."""
    fields |= size_params(asked.size, fields, entry, sizes)
    try:
        params = validated(entry, json.dumps(fields), schema)
    except InvalidRequest as error:
        raise refused_as_size(error, asked.size) from None
    streamed = bool(asked.stream and asked.partial_images)
    return JobRequest(entry.family.modality, entry, params, streamed)


def picture_model(catalog: Catalog, model: str) -> CatalogEntry:
    """The model of this name, if it makes pictures. Raises NotFound."""
    entry = catalog.find(model)
    if not MODALITIES[entry.family.modality].has_pictures:
        message = f"{model} makes {entry.family.modality}, not pictures"
        raise NotFound(message, code="model_not_found", param="model")
    return entry


def model_fields(asked: ImageRequest, entry: CatalogEntry, catalog: Catalog) -> dict[str, Any]:
    """The model's own request, but for its size."""
    extra = asked.model_extra or {}
    fields = {k: v for k, v in extra.items() if v is not None or k not in OPTIONAL}
    fields["model"] = entry.id
    if fields.get("style") in VIVID and fields["style"] not in entry.header.labels:
        del fields["style"]
    put_words(asked.prompt, fields, entry, catalog)
    return fields


def put_words(prompt: str, fields: dict[str, Any], entry: CatalogEntry, catalog: Catalog) -> None:
    """To the model as its prompt, or as the kind that they name where it can do without words."""
    takes = entry.schema["properties"]
    if "prompt" in entry.schema.get("required", ()):
        fields["prompt"] = prompt
        return
    if not prompt:
        return
    labels = entry.header.labels if "class_label" in takes else []
    named = [x for x in labels if x.casefold() == prompt.strip().casefold()]
    spoken = not named or any(fields.get(name) is not None for name in BESIDE_WORDS)
    if spoken and "prompt" in takes:
        fields["prompt"] = prompt
    elif fields.get("class_label") is not None:
        return
    elif named:
        fields["class_label"] = named[0]
    else:
        may = f"one of its labels ({', '.join(labels)}), or empty" if labels else "empty"
        painters = ", ".join(i for i, _ in catalog.of("text-to-image")) or "none"
        message = f"{entry.id} takes no words: prompt must be {may}; models that do: {painters}"
        raise Unprocessable(message, param="prompt")


def in_dialect(
    entry: CatalogEntry,
    native: Mapping[str, Any],
    sizes: Sizes,
    kind: type[ImageRequest] = ImageRequest,
) -> dict[str, Any]:
    """A schema of the model's own request, made that of the request which is taken here."""
    own, fields = kind.model_json_schema()["properties"], native["properties"]
    properties = {**own, **fields, "size": own["size"] | size_schema(entry, sizes)}
    for name in ("n", "output_format"):
        properties[name] = or_null(properties[name])
    style = {"enum": list(VIVID), "description": f"{NO_EFFECT}OpenAI's styles."}
    properties["style"] = either(fields.get("style", {}), style, NULL)
    required = native.get("required", [])
    if "prompt" not in required:
        properties["prompt"] = own["prompt"]
    if "prompt" not in fields and "class_label" not in fields:
        properties["prompt"] = {**own["prompt"], "maxLength": 0, "examples": [""]}
    elif "prompt" not in fields:
        properties["prompt"] = {**own["prompt"], "enum": [*entry.header.labels, ""]}
    schema = {k: v for k, v in native.items() if k not in ("if", "then")}
    schema |= {"properties": properties, "required": list(dict.fromkeys(["prompt", *required]))}
    return forbid(schema, [*CONFLICTS, *size_conflicts(entry), *_conflicts(entry)])


def _conflicts(entry: CatalogEntry) -> Iterator[Conflict]:
    """The model's own. A prompt may be a label, and an empty one is as good as none."""
    for conflict in entry.request.conflicts:
        if "class_label" in conflict:
            yield {**conflict, "prompt": other_than(*entry.header.labels)}
        elif conflict.get("prompt") == ABSENT:
            yield {**conflict, "prompt": one_of("")}
        else:
            yield conflict
