"""The params of families that go from noise to a picture step by step. No torch."""

import math
from typing import Any, ClassVar, Literal

from pydantic import Field

from models.params.base import VariableParams
from models.params.conflicts import ABSENT, GIVEN, Conflict, one_of, other_than
from models.params.fields import GuidanceScale, NegativePrompt, PostedMask, Prompt, Upscale

FEW = 50  # steps, if none are asked for
AREA = 512 * 512  # pixels that a picture may have and still count as one row
LARGEST = 1000.0  # scale of CLIP guidance
SAMPLERS = ("ddpm", "ddim", "euler", "heun", "dpmpp_2m")


class SampledParams(VariableParams):
    """What every family takes that goes from noise to a picture step by step."""

    dependent_fields = VariableParams.dependent_fields | {
        "clip_guidance_every",
        "clip_guidance_scale",
        "eta",
        "guidance_scale",
    }

    advanced_fields = frozenset({"sampler", "eta", "clip_guidance_scale", "clip_guidance_every"})

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *VariableParams.conflicts,
        {"clip_guidance_every": GIVEN, "clip_guidance_scale": ABSENT},
        {"eta": GIVEN, "sampler": other_than("ddim")},
    )

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

    clip_guidance_scale: float | None = Field(
        default=None,
        gt=0.0,
        le=LARGEST,
        description="Lead each step towards what CLIP finds alike to the prompt besides: the "
        "gradient of their similarity is scaled by this. Null is not at all, or the checkpoint's "
        "own where only CLIP reads the prompt.",
        examples=[20.0],
    )
    clip_guidance_every: int | None = Field(
        default=None,
        ge=1,
        le=100,
        strict=True,
        description="Let CLIP lead only every so many steps, which is faster. Null is every one. "
        "Only with `clip_guidance_scale`.",
        examples=[2],
    )


class DiffusionParams(SampledParams):
    """Parameters of a diffusion model."""

    label_fields = frozenset({"class_label"})
    advanced_fields = frozenset({"guidance_scale"})

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *SampledParams.conflicts,
        {"guidance_scale": GIVEN, "class_label": ABSENT},
        {"clip_guidance_scale": GIVEN, "prompt": ABSENT},
    )

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

    prompt: Prompt | None = Field(
        default=None,
        validate_default=True,
        description="Words that CLIP leads towards; what it doesn't understand is noted with the "
        "output. Null is no lead.",
        examples=["shoe"],
    )


class PaintingParams(SampledParams):
    """What every family takes that paints what words say."""

    dependent_fields = SampledParams.dependent_fields | {"mask", "negative_prompt"}
    advanced_fields = frozenset({"guidance_scale"})

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *SampledParams.conflicts,
        {"negative_prompt": GIVEN, "guidance_scale": one_of(1)},
        {"mask": GIVEN, "init_image": ABSENT},
    )

    prompt: Prompt = Field(
        description="What to paint; words that the model doesn't understand, or that are beyond "
        "what it reads, are noted with the output.",
        examples=["a red apple"],
    )
    guidance_scale: GuidanceScale = None
    negative_prompt: NegativePrompt = None
    mask: PostedMask | None = Field(
        default=None,
        description="Repaint `init_image` only where this picture is white: the hash of a file "
        "posted to /artifacts, of the same size. Only with `init_image`. With it, `strength` is 1 "
        "if it is null.",
        examples=["cd34" * 16],
    )

    @property
    def used_strength(self) -> float:
        """What is under a mask is painted anew, unless the request says otherwise."""
        return 1.0 if self.strength is None and self.mask is not None else super().used_strength


class TextToImageParams(PaintingParams):
    """Parameters of a latent diffusion model, with all that one can have."""

    label_fields = frozenset({"style"})

    style: str | None = Field(
        default=None, description="The set of pictures to paint in the manner of; null is any."
    )
    upscale: Upscale = Field(
        default=1, description="Paint so many times as wide and as high.", examples=[4]
    )


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


class StableDiffusionParams(PaintingParams):
    """Parameters of a Stable Diffusion model."""

    steps: int = Field(
        default=30,
        ge=1,
        le=1000,
        strict=True,
        description="Steps; heun asks the net twice in each.",
        examples=[20],
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

    @property
    def rows(self) -> int:
        """Large pictures weigh as much as the small ones that have as many pixels."""
        pixels = (self.width or 512) * (self.height or 512)
        return super().rows * math.ceil(pixels / AREA)
