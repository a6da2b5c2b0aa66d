"""The params of families that make sound. No torch."""

from pydantic import Field, ValidationInfo, field_validator

from models.params import Params

LONGEST = 60.0  # seconds


class WaveNetParams(Params):
    """Parameters of a WaveNet, with all that one can have."""

    style: str | None = Field(
        default=None, description="The kind of music; null draws one, each as likely."
    )
    seconds: float = Field(
        default=10.0,
        gt=0.0,
        le=LONGEST,
        description="How long it is to be.",
        examples=[5.0],
    )
    temperature: float = Field(
        default=1.0,
        ge=0.05,
        le=2.0,
        description="Logits of each sample are divided by this: below 1 the likely becomes "
        "likelier still, and the sound cleaner and duller.",
        examples=[0.9],
    )
    top_p: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Draw each sample only from the likeliest values that together have this "
        "probability (Holtzman et al. 2020).",
        examples=[0.95],
    )
    unconditioned: bool = Field(
        default=False,
        strict=True,
        description="Tell the net neither a style nor what is played: it makes what sounds like "
        "anything that it has heard. Not with `style`.",
    )

    @field_validator("unconditioned")
    @classmethod
    def _of_no_kind(cls, given: bool, info: ValidationInfo) -> bool:
        if given and info.data.get("style") is not None:
            raise ValueError("unconditioned and style don't go together")
        return given
