"""The params of families that make moving pictures. No torch."""

from typing import ClassVar, Literal

from pydantic import Field

from models.params.base import TRUNCATION, Params
from models.params.conflicts import GIVEN, Conflict, one_of
from models.params.fields import GuidanceScale, NegativePrompt, PostedPicture, Prompt, Upscale

FPS = 8.0
POOL = 16
"""Draws of a video GAN that truncation chooses from."""


class VideoParams(Params):
    """What every family of moving pictures takes. What they make are loops: the last frame leads
    to the first."""

    advanced_fields = frozenset({"fps", "repeat", "loop"})

    prompt: Prompt = Field(
        description="What to show; words that the model doesn't understand are noted with the "
        "output.",
        examples=["a waving hand"],
    )
    frames: int = Field(
        default=16,
        ge=2,
        le=64,
        strict=True,
        description="Frames of the loop; those of another number than the checkpoint's own, which "
        "it has learnt from, are less sure.",
        examples=[16],
    )
    fps: float = Field(
        default=FPS, ge=1.0, le=60.0, description="Frames shown in a second.", examples=[12.0]
    )
    repeat: int = Field(
        default=1,
        ge=1,
        le=60,
        strict=True,
        description="How often the loop is played in the file.",
        examples=[2],
    )
    loop: bool = Field(
        default=True,
        strict=True,
        description="Mark the file to begin again at its end. WebP and GIF have such a mark; of "
        "MP4 the player decides.",
    )
    upscale: Upscale = Field(
        default=1, description="Make every frame so many times as wide and as high.", examples=[4]
    )

    @property
    def rows(self) -> int:
        """Enlarged frames weigh more than those that the net makes."""
        return self.upscale


class VideoGANParams(VideoParams):
    """Parameters of a video GAN: its checkpoint makes clips of one number of frames."""

    truncation: float | None = Field(
        default=None,
        ge=0.1,
        le=3.0,
        description=TRUNCATION.format(kind="clip", pool=POOL),
        examples=[0.7],
    )

    @property
    def rows(self) -> int:
        """The draws that truncation chooses from run four at a time."""
        return super().rows if self.truncation is None else max(super().rows, 4)


class VideoDiffusionParams(VideoParams):
    """Parameters of a video diffusion model, with all that one can have."""

    dependent_fields = frozenset({"guidance_scale", "init_image", "negative_prompt"})
    label_fields = frozenset({"style"})
    advanced_fields = frozenset({"sampler", "guidance_scale"})

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        {"negative_prompt": GIVEN, "guidance_scale": one_of(1)},
    )

    sampler: Literal["ddim", "euler", "heun", "dpmpp_2m"] = Field(
        default="ddim",
        description="How to go from noise to frames: ddim (Song et al. 2021), euler, heun (Karras "
        "et al. 2022) or dpmpp_2m (Lu et al. 2022).",
        examples=["dpmpp_2m"],
    )
    steps: int = Field(
        default=20,
        ge=1,
        le=1000,
        strict=True,
        description="Steps; heun asks the net twice in each.",
        examples=[12],
    )
    guidance_scale: GuidanceScale = None
    negative_prompt: NegativePrompt = None
    style: str | None = Field(
        default=None, description="The set of pictures to make in the manner of; null is any."
    )
    init_image: PostedPicture | None = Field(
        default=None,
        description="Set this picture in motion: the hash of a file posted to /artifacts.",
        examples=["ab12" * 16],
    )

    @property
    def rows(self) -> int:
        """Long clips weigh as much as the short ones that have as many frames."""
        return -(-self.frames * super().rows // 16)
