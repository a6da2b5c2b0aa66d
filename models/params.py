"""One params class per family, and the seeds of a job's items. No torch: the API imports this.

A class has all that a checkpoint of its family can take. What a given one lacks (labels, a learned
prior) `families.lacks` tells by its header, and the API then knows no such field.
"""

import hashlib
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from models.fields import Amounts, PostedMask, PostedPicture, Prompt, posted_fields

MAX_SEED = 2**53 - 1  # what JSON and JavaScript keep exactly

Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)]

FEW = 50  # steps of a diffusion model, if none are asked for
AREA = 512 * 512  # pixels that a picture may have and still count as one row
SAMPLERS = ("ddpm", "ddim", "euler", "heun", "dpmpp_2m")


def item_seed(seed: int, index: int) -> int:
    """The seed of item `index` of a job: the job's own for item 0, a derived one after it."""
    if index == 0:
        return seed
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") & MAX_SEED


class Params(BaseModel):
    """What a family's story takes. Unknown fields are refused; nothing is clamped."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def rows(self) -> int:
        """How many pictures, or the like, one item makes side by side: admission weighs it so."""
        return 1


def posted_files(params: Params) -> dict[str, str]:
    """The files that a request refers to: their SHA-256 by the names of its params."""
    given = dict(params)
    return {name: given[name] for name in posted_fields(type(params)) if given[name] is not None}


class Walk(Params):
    """A way through the latent space, from a request's own seed to another."""

    to_seed: Seed = Field(description="The seed of the last frame.")
    frames: int = Field(default=8, ge=2, le=64, description="Pictures, both ends included.")


class PictureParams(Params):
    """What every family of pictures takes."""

    interpolate: Walk | None = Field(
        default=None,
        description="Walk from this seed's latent to another's along a great circle: gives a "
        "contact sheet and an animation instead of one picture.",
        examples=[{"to_seed": 8, "frames": 8}],
    )

    @property
    def rows(self) -> int:
        return self.interpolate.frames if self.interpolate else 1


class VariableParams(PictureParams):
    """What a family takes that can vary a given picture."""

    init_image: PostedPicture | None = Field(
        default=None,
        description="Vary this picture instead of making a new one: the hash of a file posted to "
        "/artifacts.",
        examples=["ab12" * 16],
    )
    strength: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="How far to leave `init_image`: 0 keeps it as well as the model can, 1 keeps "
        "next to nothing. Null is 0.5. Only with `init_image`.",
        examples=[0.5],
    )

    @field_validator("init_image")
    @classmethod
    def _one_way(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given is not None and info.data.get("interpolate") is not None:
            raise ValueError("init_image and interpolate don't go together")
        return given

    @field_validator("strength")
    @classmethod
    def _of_a_picture(cls, given: float | None, info: ValidationInfo) -> float | None:
        if given is not None and info.data.get("init_image") is None:
            raise ValueError("strength needs init_image")
        return given


class MixtureParams(PictureParams):
    """Parameters of a Gaussian mixture."""

    temperature: float = Field(
        default=1.0,
        ge=0.0,
        le=2.0,
        description="Standard deviations are scaled by this: 0 gives the components' means.",
    )


class VAEParams(VariableParams):
    """Parameters of a variational autoencoder, with all that one can have."""

    temperature: float = Field(
        default=1.0,
        ge=0.0,
        le=2.0,
        description="Standard deviation of the latent draw: 0 gives the mean picture, 1 the prior.",
    )
    prior: Literal["normal", "mixture"] = Field(
        default="normal",
        description="Where latents are drawn from: N(0, 1), or the Gaussian mixture that was "
        "fitted to the latents of the training pictures.",
        examples=["mixture"],
    )

    @field_validator("prior")
    @classmethod
    def _of_a_draw(cls, given: str, info: ValidationInfo) -> str:
        if given != "normal" and info.data.get("init_image") is not None:
            raise ValueError("prior and init_image don't go together: it starts from the picture")
        return given

    attributes: Amounts = Field(
        default={},
        description="Move along these directions of the latent space, in standard deviations of "
        "the training pictures.",
    )


class GANParams(PictureParams):
    """Parameters of a generative adversarial network."""

    truncation: float | None = Field(
        default=None,
        ge=0.1,
        le=3.0,
        description="Draw latents from a normal cut at plus and minus this many standard "
        "deviations (Brock et al. 2019): smaller is more typical, less varied. Null draws freely.",
        examples=[0.7],
    )
    class_label: str | None = Field(
        default=None, description="What to draw; null draws a kind, each as likely."
    )


class SampledParams(VariableParams):
    """What every family takes that goes from noise to a picture step by step."""

    sampler: Literal["ddpm", "ddim", "euler", "heun", "dpmpp_2m"] = Field(
        default="ddim",
        description="ddpm (Ho et al. 2020) adds fresh noise each step; ddim (Song et al. 2021), "
        "euler, heun (Karras et al. 2022) and dpmpp_2m (Lu et al. 2022) need fewer steps.",
        examples=["dpmpp_2m"],
    )
    steps: int = Field(
        default=FEW,
        ge=1,
        le=1000,
        strict=True,
        description="Steps; heun asks the net twice in each.",
        examples=[20],
    )
    eta: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="Fresh noise in each step of ddim: 0, or null, is none, 1 is as much as ddpm. "
        "Only with the sampler ddim.",
        examples=[0.5],
    )

    @field_validator("eta")
    @classmethod
    def _of_ddim(cls, given: float | None, info: ValidationInfo) -> float | None:
        if given is not None and info.data.get("sampler") != "ddim":
            raise ValueError("eta needs the sampler ddim")
        return given


class DiffusionParams(SampledParams):
    """Parameters of a diffusion model."""

    class_label: str | None = Field(default=None, description="What to draw; null is anything.")
    guidance_scale: float | None = Field(
        default=None,
        ge=1.0,
        le=20.0,
        description="How much to exaggerate what the class changes (Ho and Salimans 2022): 1 is "
        "not at all, and runs in half the time. Null is the checkpoint's own. Only with "
        "`class_label`.",
        examples=[2.0],
    )

    @field_validator("guidance_scale")
    @classmethod
    def _towards_a_class(cls, given: float | None, info: ValidationInfo) -> float | None:
        if given is not None and info.data.get("class_label") is None:
            raise ValueError("guidance_scale needs class_label")
        return given


class TextToImageParams(SampledParams):
    """Parameters of a model that paints what words say, with all that one can have."""

    prompt: Prompt = Field(
        description="What to paint, in words that the model knows; what it didn't understand is "
        "noted with the output.",
        examples=["a red apple"],
    )
    negative_prompt: Prompt | None = Field(
        default=None,
        description="What to stay away from: guidance leads from here to the prompt.",
        examples=["text"],
    )
    style: str | None = Field(
        default=None, description="The set of pictures to paint in the manner of; null is any."
    )
    guidance_scale: float | None = Field(
        default=None,
        ge=0.0,
        le=20.0,
        description="How much to exaggerate what the words change (Ho and Salimans 2022): 1 is not "
        "at all, 0 leaves the words out, and both run in half the time. Null is the checkpoint's "
        "own.",
        examples=[3.0],
    )
    mask: PostedMask | None = Field(
        default=None,
        description="Repaint `init_image` only where this picture is white: the hash of a file "
        "posted to /artifacts, of the same size. Only with `init_image`.",
        examples=["cd34" * 16],
    )
    clip_guidance_scale: float | None = Field(
        default=None,
        gt=0.0,
        le=1000.0,
        description="Lead each step towards what CLIP finds alike to the prompt besides: the "
        "gradient of their similarity is scaled by this. Null is not at all.",
        examples=[20.0],
    )
    clip_guidance_every: int = Field(
        default=1,
        ge=1,
        le=100,
        strict=True,
        description="Let CLIP lead only every so many steps, which is faster.",
        examples=[2],
    )
    upscale: Literal[1, 4] = Field(
        default=1, description="Paint so many times as wide and as high.", examples=[4]
    )

    @field_validator("mask")
    @classmethod
    def _on_a_picture(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given is not None and info.data.get("init_image") is None:
            raise ValueError("mask needs init_image")
        return given


def _side(what: str, example: int) -> Any:
    return Field(
        default=None,
        ge=8,
        le=4096,
        multiple_of=8,
        strict=True,
        description=f"{what} of the picture in pixels, a multiple of 8. Null is what the model was "
        "made for; much else is painted less well, and a larger picture takes longer.",
        examples=[example],
    )


class StableDiffusionParams(SampledParams):
    """Parameters of a Stable Diffusion model."""

    steps: int = Field(
        default=30,
        ge=1,
        le=1000,
        strict=True,
        description="Steps; heun asks the net twice in each.",
        examples=[20],
    )
    prompt: Prompt = Field(
        description="What to paint; words beyond what the model reads are noted with the output.",
        examples=["a red apple on a wooden table"],
    )
    negative_prompt: Prompt | None = Field(
        default=None,
        description="What to stay away from: guidance leads from here to the prompt.",
        examples=["text"],
    )
    guidance_scale: float = Field(
        default=7.5,
        ge=0.0,
        le=30.0,
        description="How much to exaggerate what the words change (Ho and Salimans 2022): 1 is not "
        "at all, 0 leaves the words out, and both run in half the time.",
        examples=[7.5],
    )
    width: int | None = _side("Width", 512)
    height: int | None = _side("Height", 512)
    mask: PostedMask | None = Field(
        default=None,
        description="Repaint `init_image` only where this picture is white: the hash of a file "
        "posted to /artifacts, of the same size. Only with `init_image`.",
        examples=["cd34" * 16],
    )

    @property
    def rows(self) -> int:
        """Large pictures weigh as much as the small ones that have as many pixels."""
        pixels = (self.width or 512) * (self.height or 512)
        return super().rows * math.ceil(pixels / AREA)

    @field_validator("mask")
    @classmethod
    def _on_a_picture(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given is not None and info.data.get("init_image") is None:
            raise ValueError("mask needs init_image")
        return given
