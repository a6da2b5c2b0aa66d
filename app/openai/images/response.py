"""What a job has made, in OpenAI's words for pictures: one reply, or an event each."""

import base64
import struct
import time
from typing import Any, Literal

from pydantic import Field

from app.core.errors import Gone
from app.core.schemas import Job, Output, Schema, Usage
from app.core.store import Missing, Store
from models.modalities import Role

PREVIEW = "data:image/png;base64,"  # how a preview's event begins: they are PNG, of any format


Action = Literal["image_generation", "image_edit"]


class Tokens(Schema):
    image_tokens: int = 0
    text_tokens: int = 0


class ImageUsage(Usage):
    """Nothing is counted in tokens here; the times are a job's."""

    input_tokens: int = 0
    input_tokens_details: Tokens = Tokens()
    output_tokens: int = 0
    total_tokens: int = 0


class ImageFacts(Schema):
    """What an output says of a file, beside OpenAI's own words."""

    revised_prompt: str | None = Field(
        default=None, description="Of a model that takes no words: the kind that was made."
    )
    seed: int = Field(description="With the same request, it makes this picture alone.")
    role: Role
    notes: list[str] = Field(description="Such as words that the model did not understand.")


class ImageData(ImageFacts):
    """One file: its bytes, or where they are."""

    b64_json: str | None = None
    url: str | None = None


class ImagesReply(Schema):
    created: int
    data: list[ImageData]
    output_format: str
    size: str = Field(description="Of the first picture.")
    usage: ImageUsage
    job_id: str


class PartialImage(Schema):
    """A picture on the way; a PNG of at most 128 pixels a side, whatever was asked for."""

    type: Literal["image_generation.partial_image", "image_edit.partial_image"]
    b64_json: str
    partial_image_index: int
    index: int = Field(description="Which of the n pictures it will be.")
    created_at: int
    size: str
    quality: Literal["auto"] = "auto"
    background: Literal["opaque"] = "opaque"
    output_format: Literal["png"] = "png"
    job_id: str


class CompletedImage(ImageFacts):
    """A picture that is done, and what the reply without a stream says of it."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    b64_json: str
    index: int
    created_at: int
    size: str
    quality: Literal["auto"] = "auto"
    background: Literal["opaque"] = "opaque"
    output_format: str
    usage: ImageUsage
    job_id: str


def images_reply(job: Job, store: Store, origin: str | None) -> ImagesReply:
    """The whole reply: with URLs at `origin`, or with bytes. Blocks. Raises StoreError."""
    return ImagesReply(
        created=job.completed_at or job.created_at,
        data=[_data(job, output, store, origin) for output in job.outputs],
        output_format=job.input["output_format"],
        size=_size(job.outputs[0]) if job.outputs else "auto",
        usage=_usage(job),
        job_id=job.id,
    )


def completed_image(job: Job, output: Output, store: Store, action: Action) -> CompletedImage:
    """The event of one file. Blocks. Raises StoreError."""
    return CompletedImage(
        type="image_edit.completed" if action == "image_edit" else "image_generation.completed",
        **_facts(job, output).model_dump(),
        b64_json=_inline(output, store),
        index=output.index,
        created_at=job.completed_at or job.created_at,
        size=_size(output),
        output_format=job.input["output_format"],
        usage=_usage(job),
        job_id=job.id,
    )


def partial_image(number: int, preview: dict[str, Any], action: Action) -> PartialImage:
    """The event of a preview, from the data of its own."""
    text = str(preview["url"]).removeprefix(PREVIEW)
    width, height = struct.unpack(">II", base64.b64decode(text[:32])[16:24])
    edits = action == "image_edit"
    return PartialImage(
        type="image_edit.partial_image" if edits else "image_generation.partial_image",
        b64_json=text,
        partial_image_index=number,
        index=preview["index"],
        created_at=int(time.time()),
        size=f"{width}x{height}",
        job_id=preview["job_id"],
    )


def _facts(job: Job, output: Output) -> ImageFacts:
    kind = None if "prompt" in job.input else job.input.get("class_label")
    return ImageFacts(revised_prompt=kind, seed=output.seed, role=output.role, notes=output.notes)


def _data(job: Job, output: Output, store: Store, origin: str | None) -> ImageData:
    facts = _facts(job, output).model_dump()
    if origin is not None:
        return ImageData(url=f"{origin}{output.url}", **facts)
    return ImageData(b64_json=_inline(output, store), **facts)


def _inline(output: Output, store: Store) -> str:
    try:
        return base64.b64encode(store.get(output.sha256)).decode()
    except Missing:
        raise Gone("this artifact is no longer stored") from None


def _size(output: Output) -> str:
    return f"{output.width}x{output.height}"


def _usage(job: Job) -> ImageUsage:
    return ImageUsage(**job.usage.model_dump())
