"""OpenAI's requests to edit or vary a picture, a form each, read as one of ours.

1. `image` becomes the model's `init_image`. A model takes one; `image[]` is another name of it.
2. OpenAI repaints where `mask` is fully transparent, the models here where it is white. So the
   alpha channel is turned into a picture in black and white, which becomes the model's `mask`.
3. Without a mask, an edit takes the alpha channel of the image itself, if any of it is clear. If
   none is, the whole is repainted, with a `strength` of 0.9 unless the request has one.
4. A variation has no words. A model that needs a prompt gets a `guidance_scale` of 0, which leaves
   it out, unless the request has a prompt.
5. All else is as for pictures from words (`app/openai/images/request.py`).
"""

import json
from collections.abc import Mapping
from typing import Any, BinaryIO, ClassVar, Literal, TypeVar

from pydantic import Field

from app.catalog.catalog import Catalog, CatalogEntry
from app.core.errors import InvalidRequest, Unprocessable
from app.core.settings import Settings
from app.openai.forms import form_fields
from app.openai.images.request import (
    NO_EFFECT,
    ImageRequest,
    in_dialect,
    job_request,
    model_fields,
    picture_model,
)
from app.openai.images.response import Action
from app.openai.images.size import Sizes
from app.openai.json_schema import NULL
from app.openai.parsing import named_model, read_as
from app.operations.job_errors import renamed
from app.operations.submit import JobRequest

IMAGE, IMAGES, MASK = "image", "image[]", "mask"
PICTURE = "init_image"  # the param that `image` becomes
MOST_IMAGES = 16  # of a form, as OpenAI's; more than one is refused by name
EDIT_STRENGTH = 0.9  # of an edit without a mask: with less, words change little
NO_WORDS = "a picture"  # the prompt of a variation, which is left out
BINARY = {"type": "string", "format": "binary"}


class EditRequest(ImageRequest):
    """The fields that are OpenAI's alone, beside the files."""

    names: ClassVar[Mapping[str, str]] = {PICTURE: IMAGE}


class ImageEditRequest(EditRequest):
    """Those of an edit."""

    action: ClassVar[Action] = "image_edit"

    input_fidelity: Literal["low", "high"] | None = Field(
        default=None, description=f"{NO_EFFECT}`strength` is what a model here takes."
    )


class ImageVariationRequest(EditRequest):
    """Those of a variation, which needs no words."""

    prompt: str = Field(default="", description="Not OpenAI's: words for a model that reads.")


R = TypeVar("R", bound=EditRequest)


def editing_model(catalog: Catalog, settings: Settings, form: Mapping[str, str]) -> CatalogEntry:
    """The model that a form names, or the default: the default model for words if it can start from
    an image, else that for pictures, else the first that can.

    Raises NotFound, and Unprocessable for a model that can't.
    """
    able = [i for i, x in catalog.of() if _starts_from_image(x)]
    defaults = [catalog.id_of(settings.default_model(x)) for x in ("text-to-image", "image")]
    first = next((i for i in (*defaults, *able) if i in able), defaults[0])
    model = named_model(form, first)
    entry = picture_model(catalog, model)
    if entry.id not in able:
        message = f"{model} can't start from an image; models that can: {', '.join(able) or 'none'}"
        raise Unprocessable(message, param="model")
    return entry


def _starts_from_image(entry: CatalogEntry) -> bool:
    """Whether it takes one and makes pictures; a model of videos sets one in motion."""
    return PICTURE in entry.schema["properties"] and entry.family.modality != "video"


def check_takes_mask(entry: CatalogEntry, catalog: Catalog, param: str) -> None:
    """Raises Unprocessable of `param` for a model that can't repaint a part."""
    if MASK in entry.schema["properties"]:
        return
    able = [i for i, x in catalog.of() if {PICTURE, MASK} <= x.schema["properties"].keys()]
    why = "takes no mask" if param == MASK else "can't edit only where the image is transparent"
    message = f"{entry.id} {why}; models that do: {', '.join(able) or 'none'}"
    raise Unprocessable(message, param=param)


def only_image(files: Mapping[str, list[BinaryIO]], model: str) -> BinaryIO:
    """The image of a form. Raises Unprocessable where there is none, or several."""
    images: list[BinaryIO] = [*files.get(IMAGE, ()), *files.get(IMAGES, ())]
    if not images:
        message = f"{IMAGE} is required, as a file"
        raise Unprocessable(message, code="missing_parameter", param=IMAGE)
    if len(images) > 1:
        message = f"{model} takes one {IMAGE}, and the form has {len(images)}"
        raise Unprocessable(message, param=IMAGE)
    return images[0]


def body_of(kind: type[R], entry: CatalogEntry, form: Mapping[str, str]) -> dict[str, Any]:
    """A form's fields as JSON would have them. Raises Unprocessable for one that is a file here, or
    goes by another name."""
    for name in (IMAGE, IMAGES, MASK):
        if name in form:
            raise Unprocessable(f"{name} must be a file", param=name)
    if PICTURE in form:
        message = f"{PICTURE} is not a parameter here; {IMAGE} is"
        raise Unprocessable(message, code="unknown_parameter", param=PICTURE)
    return form_fields(form, in_dialect(entry, entry.schema, "nearest", kind)["properties"])


def read_request(
    kind: type[R],
    entry: CatalogEntry,
    catalog: Catalog,
    settings: Settings,
    body: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> tuple[R, JobRequest]:
    """Returns what is OpenAI's of a form, and its job; `inputs` are the hashes of its files by the
    model's own params. Raises InvalidRequest."""
    schema = form_schema(entry, settings.sizes, kind)
    asked = read_as(kind, json.dumps(body).encode(), lambda: schema)
    fields = model_fields(asked, entry, catalog) | dict(inputs)
    if kind is ImageEditRequest and MASK not in inputs and "strength" in schema["properties"]:
        fields.setdefault("strength", EDIT_STRENGTH)
    if not asked.prompt and kind is ImageVariationRequest:
        fields = _without_words(fields, entry)
    try:
        return asked, job_request(asked, fields, entry, settings.sizes, schema)
    except InvalidRequest as error:
        raise renamed(error, kind.names) from None


def _without_words(fields: dict[str, Any], entry: CatalogEntry) -> dict[str, Any]:
    """The model's own request of a variation that has no prompt."""
    if "prompt" not in entry.schema.get("required", ()):
        return fields
    if fields.get("guidance_scale") not in (None, 0):
        raise Unprocessable("guidance_scale needs a prompt", param="guidance_scale")
    return {**fields, "prompt": NO_WORDS, "guidance_scale": 0}


def form_schema(entry: CatalogEntry, sizes: Sizes, kind: type[EditRequest]) -> dict[str, Any]:
    """A schema of the forms that a model takes."""
    schema = in_dialect(entry, entry.schema, sizes, kind)
    fields = {k: v for k, v in schema["properties"].items() if k not in (PICTURE, MASK)}
    files = {IMAGE: BINARY, **({MASK: BINARY} if kind is ImageEditRequest else {})}
    return {**schema, "properties": {**files, **fields}}


def edit_body(catalog: Catalog, kind: type[EditRequest]) -> dict[str, Any]:
    """What the API's document says of a form: OpenAI's fields, of any model.

    It is one schema, since generators of clients write code that fails for a choice in a form.
    """
    able = [i for i, x in [*catalog.of(), *catalog.aliases_of()] if _starts_from_image(x)]
    model = {"type": "string", "enum": able, "description": "The default is one that can."}
    count = {"type": "integer", "minimum": 1, "description": "How many to make."}
    own = {name: _plain(x) for name, x in kind.model_json_schema()["properties"].items()}
    about = "PNG, JPEG, GIF or WebP. The model's own params are further fields."
    properties: dict[str, Any] = {IMAGE: {**BINARY, "description": about}}
    if kind is ImageEditRequest:
        about = "Repaint only where this picture, of the same size, is fully transparent."
        properties[MASK] = {**BINARY, "description": about}
    properties |= {"model": model, "n": count, **own}
    required = [IMAGE, "prompt"] if kind is ImageEditRequest else [IMAGE]
    schema = {"type": "object", "properties": properties, "required": required}
    example = {IMAGE: "(bytes)", **({"prompt": "a red apple"} if len(required) > 1 else {})}
    content = {"schema": schema, "examples": {"form": {"value": example}}}
    return {"required": True, "content": {"multipart/form-data": content}}


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A property of a form, which leaves out what is null."""
    forms = [x for x in schema.get("anyOf", ()) if x != NULL]
    rest = {k: v for k, v in schema.items() if k not in ("anyOf", "title", "default")}
    plain = {**rest, **(forms[0] if forms else {})}
    if isinstance(number := plain.get("const"), int):  # generators send it as it is, not as text
        del plain["const"]
        plain |= {"minimum": number, "maximum": number}
    return plain
