"""OpenAI's request for a video, as a form or as JSON, read as one of ours.

1. The client package sends a form even where there is no file in it. A form's fields are texts:
   those that the model takes as something else are read as JSON.
2. `seconds` is how often the model's loop is played: only whole loops are made.
3. `input_reference` is a picture to set in motion; it is kept as if it had been posted.
4. Every other field is the model's own, and refused by name if the model lacks it.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.catalog.catalog import Catalog, CatalogEntry
from app.core.errors import InvalidRequest, NotFound, Unprocessable
from app.http.validation_errors import explain_details
from app.openai.images.size import (
    Sizes,
    refused_as_size,
    size_conflicts,
    size_params,
    size_schema,
)
from app.openai.json_schema import NULL
from app.openai.parsing import named_model
from app.operations.submit import JobRequest, validated
from models.params.conflicts import GIVEN, Conflict, explicitly, forbid

REFERENCE = "input_reference"
PICTURE = "init_image"  # the param that it becomes
OPTIONAL = ("model", "seconds", "size", REFERENCE)
NEAR = 1e-6  # loops
CONFLICTS: tuple[Conflict, ...] = tuple(
    {"seconds": GIVEN, name: explicitly()} for name in ("repeat", "frames", "fps")
)
"""Unless they say the same, or loops of that length fit: the document can't calculate."""


class VideoRequest(BaseModel):
    """The fields that are OpenAI's alone; `model_extra` has the model's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    prompt: str = Field(description="What to show.", examples=["a waving hand"])
    seconds: str | float | None = Field(
        default=None,
        description="How long it plays: a whole number of the model's loops, of `frames` at `fps`. "
        "Once, if left out.",
        examples=["4"],
    )
    size: str | None = Field(
        default=None, description="WIDTHxHEIGHT, one that the model can make, or `auto`."
    )

    @field_validator("seconds", mode="before")
    @classmethod
    def _number_or_text(cls, value: Any) -> str | float | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _float(value)
        raise ValueError("it must be a number")


def video_model(catalog: Catalog, model: str) -> CatalogEntry:
    """The model of this name, if it makes videos. Raises NotFound."""
    entry = catalog.find(model)
    if entry.family.modality != "video":
        message = f"{model} makes {entry.family.modality}, not video"
        raise NotFound(message, code="model_not_found", param="model")
    return entry


def read_request(
    entry: CatalogEntry, body: Mapping[str, Any], picture: str | None, sizes: Sizes
) -> JobRequest:
    """Returns the job that a body asks for; `picture` is the hash of the one that came with it.

    Raises InvalidRequest with the field as the client knows it.
    """
    schema = in_dialect(entry, entry.schema, sizes)
    named_model(body, entry.id)
    plain = {k: v for k, v in body.items() if v is not None or k not in OPTIONAL}
    if REFERENCE in plain:
        message = f"{REFERENCE} must be a file in a form; or name a posted one as {PICTURE}"
        raise Unprocessable(message, param=REFERENCE)
    try:
        asked = VideoRequest.model_validate(plain)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise explain_details(problems, schema) from None
    fields: dict[str, Any] = {**(asked.model_extra or {}), "prompt": asked.prompt}
    if picture is not None:
        fields |= {PICTURE: picture}
    fields |= {"model": entry.id} | size_params(asked.size, fields, entry, sizes)
    repeats = _repeats(asked.seconds, fields, entry)
    try:
        params = validated(entry, json.dumps(fields | repeats), schema)
    except InvalidRequest as error:
        raise refused_as_size(_as_seconds(error, asked.seconds), asked.size) from None
    return JobRequest("video", entry, params)


def _repeats(
    seconds: str | float | None, form: Mapping[str, Any], entry: CatalogEntry
) -> dict[str, int]:
    """What `seconds` adds to the params. Raises InvalidRequest where no number of loops lasts so
    long, or `repeat` says another."""
    if seconds is None:
        return {}
    fields = entry.schema["properties"]
    frames, fps = (_float(form.get(name, fields[name]["default"])) for name in ("frames", "fps"))
    if not (0 < frames < math.inf and 0 < fps < math.inf):
        return {}  # refused by name, later
    loops = _float(seconds) * fps / frames
    if math.isnan(loops):
        raise InvalidRequest("seconds must be a number", param="seconds")
    count = round(loops) if 0 < loops < 10_000 else 0
    if count < 1 or abs(loops - count) > NEAR:
        once = f"{frames / fps:g}"
        message = f"seconds must be a multiple of {once}: {entry.id} makes loops of {once} s"
        raise InvalidRequest(message, param="seconds")
    if form.get("repeat", count) != count:
        message = f"seconds {seconds} and repeat don't go together"
        raise InvalidRequest(message, param="seconds")
    return {"repeat": count}


def _float(value: Any) -> float:
    """A number, infinite where no float is as large; NaN for what is no number."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def _as_seconds(error: InvalidRequest, seconds: str | float | None) -> InvalidRequest:
    """The same error, or of `seconds` where the number of loops that it told is refused."""
    if seconds is None or error.param != "repeat":
        return error
    return InvalidRequest(f"seconds {seconds} is too long: {error.message}", param="seconds")


def in_dialect(entry: CatalogEntry, native: Mapping[str, Any], sizes: Sizes) -> dict[str, Any]:
    """A schema of the model's own request, made that of the request which is taken here."""
    own = VideoRequest.model_json_schema()["properties"]
    properties = {**own, **native["properties"], "size": own["size"] | size_schema(entry, sizes)}
    properties["seconds"] = own["seconds"] | _seconds_schema(native["properties"])
    if PICTURE in native["properties"]:
        properties[REFERENCE] = {
            "type": "string",
            "format": "binary",
            "description": "Only in a form: a picture to set in motion.",
        }
    required = list(dict.fromkeys(["prompt", *native.get("required", [])]))
    schema = {k: v for k, v in native.items() if k not in ("if", "then")}
    schema |= {"properties": properties, "required": required}
    return forbid(schema, [*CONFLICTS, *size_conflicts(entry), *entry.request.conflicts])


def _seconds_schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON schema says of how long a video can play, in loops of the default length."""
    once = fields["frames"]["default"] / fields["fps"]["default"]
    counts = range(1, fields["repeat"]["maximum"] + 1)
    lengths = "|".join(re.escape(f"{once * count:g}") for count in counts)
    return {"anyOf": [{"type": "string", "pattern": f"^({lengths})$"}, NULL]}
