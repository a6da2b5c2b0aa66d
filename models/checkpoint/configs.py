"""Typed views of a header's `net` and `process`, by family. No torch: the API reads them too.

On disk both are JSON objects. `parse` checks one, and raises CheckpointError that names the field.
What a net itself is built with (`build_net`) is checked by the net.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PositiveFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from models.checkpoint.header import CheckpointError

Spacing = Literal["even", "leading", "trailing", "linspace", "karras"]
Prediction = Literal["eps", "v", "x"]
JsonObject = dict[str, JsonValue]
CLIP_SCALE = 4
"""Pixels for each latent along a side of a video GAN. Its family refuses other autoencoders."""


class Config(BaseModel):
    """A part of a header; fields that it doesn't know are left alone."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    fault: ClassVar[str] = "the net can't be built from its header"
    """What the error of a bad value begins with."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Raises CheckpointError for the first bad field, by name."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise CheckpointError(f"{cls.fault}: {_reason(error)}") from None


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    if first["type"] == "literal_error":
        known = first["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
        return f"{field} must be one of {known}, not {first['input']}"
    value = first["input"]
    shown = f", not {value!r:.50}" if isinstance(value, str | int | float | None) else ""
    return f"{field}: {first['msg']}{shown}" if field else str(first["msg"])


class DiffusionProcess(Config):
    """The noise that a net was trained with, and how to sample from it."""

    fault: ClassVar[str] = "its noise process can't be made"

    schedule: Literal["linear", "cosine", "scaled_linear"] = "linear"
    steps: int = Field(default=1000, ge=1)
    first: float | None = None
    """The first beta of a linear schedule; None is the schedule's own."""
    last: float | None = None
    betas: list[float] | None = Field(default=None, min_length=1)
    """All betas of a schedule that has no name."""
    zero_snr: bool = False
    """Whether the schedule ends in pure noise (Lin et al. 2024)."""
    prediction: Prediction = "eps"
    clip: bool = True
    """Whether predicted pictures are clipped to [-1, 1]."""
    spacing: Spacing = "even"
    guidance: float = Field(default=1.0, ge=1, le=20)
    """The guidance scale of a request that gives none."""
    clip_guidance: float = Field(default=100.0, gt=0, le=1000)
    """The same of CLIP guidance, where only CLIP reads the prompt."""

    @model_validator(mode="after")
    def _has_signal(self) -> Self:
        if self.zero_snr and self.prediction == "eps":
            raise ValueError("a net that predicts eps finds no picture where all is noise")
        if self.schedule == "cosine" and (self.first, self.last) != (None, None):
            raise ValueError("a cosine schedule takes no first or last beta")
        return self


class StableDiffusionProcess(DiffusionProcess):
    """As diffusers' schedulers have it."""

    spacing: Spacing = "leading"
    offset: int = Field(default=0, ge=0)
    """Added to the times of `leading`."""
    to_one: bool = True
    """Whether DDIM's last step ends in the picture itself."""

    @model_validator(mode="after")
    def _starts_within(self) -> Self:
        levels = self.steps if self.betas is None else len(self.betas)
        if self.offset >= levels:
            raise ValueError(f"an offset of {self.offset} is more than {levels} steps")
        return self


class VideoProcess(DiffusionProcess):
    """Adds what the frames of a clip have in common."""

    shared: float = Field(default=0.0, ge=0, le=1)
    """The part of the noise's variance that all frames share."""


class SoundProcess(Config):
    """How a net's samples and scores are meant."""

    fault: ClassVar[str] = "its sound can't be made"

    rate: int = Field(strict=True, ge=1000, le=192_000)
    """Samples a second."""
    gain: float = Field(default=1.0, gt=0, le=1)
    """What decoded samples are multiplied by. More than 1 would have to be cut off."""
    pitches: tuple[int, int] | None = None
    """The lowest and highest MIDI pitch that it plays; None if it plays no scores."""

    @field_validator("pitches")
    @classmethod
    def _rise(cls, pitches: tuple[int, int] | None) -> tuple[int, int] | None:
        if pitches is not None and not 0 <= pitches[0] <= pitches[1] <= 127:
            raise ValueError(f"there are no pitches from {pitches[0]} to {pitches[1]}")
        return pitches


class ClipProcess(Config):
    """How a CLIP reads texts and sees pictures."""

    fault: ClassVar[str] = "it has no words, or no sight"

    words: str | None = None
    """"all" for open_clip's whole token table, else the words are in the tensors."""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.5, 0.5, 0.5)
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"


class EmbeddingProcess(Config):
    """How an encoder of texts reads them."""

    fault: ClassVar[str] = "its texts can't be read"

    context: int = Field(strict=True, ge=3)
    """Tokens of a text at most, with those that stand around it."""


class GANNet(Config):
    latent: int
    classes: int = 0


class _NetOfNets(Config, extra="forbid"):
    """Several nets in one checkpoint."""


class LatentDiffusionNet(_NetOfNets):
    unet: JsonObject
    autoencoder: JsonObject


class VideoDiffusionNet(_NetOfNets):
    unet: JsonObject
    frames: int = Field(ge=1)
    size: int


class StableDiffusionNet(_NetOfNets):
    unet: JsonObject
    vae: JsonObject
    text_encoder: JsonObject
    tokenizer: dict[str, str]


class LanguageTokenizer(_NetOfNets):
    fault: ClassVar[str] = "its words can't be used"

    chat_template: str | None
    ends: frozenset[int]
    """Tokens that end a text."""
    marks: dict[str, str]
    """Special tokens, by the names that a template has for them."""


class LanguageNet(_NetOfNets):
    config: JsonObject
    words: LanguageTokenizer
    context: int = Field(strict=True)
    """Tokens of a text at most."""
