"""The params of families that make music, as sound or as scores. No torch."""

from typing import ClassVar

from pydantic import Field

from models.params.base import Params
from models.params.conflicts import GIVEN, Conflict, one_of
from models.params.fields import LabelReader, PostedScore
from models.params.music_terms import SpelledKey, read_style, style_schema

LONGEST = 60.0  # seconds
SHORT = 10.0  # seconds, where neither they nor a score say how long
SLOWEST, FASTEST = 40.0, 240.0  # quarter notes a minute


class ComposedParams(Params):
    """What every family takes that composes, by itself or by a composer that it needs."""

    dependent_fields = frozenset({"key", "tempo"})
    label_fields = frozenset({"style"})
    label_reader = LabelReader(read_style, style_schema)

    style: str | None = Field(
        default=None,
        description="The kind of music, by name or number, or any text that names one, such as "
        "`gentle swing`; null draws one, each as likely.",
    )
    tempo: float | None = Field(
        default=None,
        ge=SLOWEST,
        le=FASTEST,
        description="Quarter notes a minute of what is composed; null draws what goes with the "
        "style.",
        examples=[120],
    )
    key: SpelledKey = Field(
        default=None,
        description="The key of what is composed, in any spelling: `Bb minor`, `b-flat minor` and "
        "`Bbm` are one. A tonic alone means major, whatever its case. Null draws one.",
        examples=["C minor"],
    )


class WaveNetParams(ComposedParams):
    """Parameters of a WaveNet, with all that one can have."""

    dependent_fields = ComposedParams.dependent_fields | {"score", "unconditioned"}
    advanced_fields = frozenset({"temperature", "top_p", "unconditioned"})

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *({"score": GIVEN, other: GIVEN} for other in ("tempo", "key")),
        *(
            {"unconditioned": one_of(True), other: GIVEN}
            for other in ("style", "tempo", "key", "score")
        ),
    )

    score: PostedScore | None = Field(
        default=None,
        description="Play this: the hash of a MIDI file posted to /artifacts. Null plays what a "
        "composer makes up, or without one what the net likes. Not with `tempo` or `key`.",
        examples=["ab12" * 16],
    )
    seconds: float | None = Field(
        default=None,
        gt=0.0,
        le=LONGEST,
        description=f"How long it is to be: of a longer score the first so many, and silence after "
        f"the end of a shorter one. Null is as long as the score, at most {LONGEST:g}, and "
        f"{SHORT:g} without one.",
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
        "anything that it has heard. Not with `style`, `score`, `tempo` or `key`.",
    )


class ComposerParams(ComposedParams):
    """Parameters of a composer, which makes scores."""

    dependent_fields = ComposedParams.dependent_fields | {"primer"}
    advanced_fields = frozenset({"temperature", "top_p"})

    conflicts: ClassVar[tuple[Conflict, ...]] = tuple(
        {"primer": GIVEN, other: GIVEN} for other in ("tempo", "key")
    )

    seconds: float = Field(
        default=30.0,
        gt=0.0,
        le=LONGEST,
        description="How long it is to be. A piece that comes to its close in the last fifth of "
        "that may end there.",
        examples=[20.0],
    )
    temperature: float = Field(
        default=1.0,
        ge=0.05,
        le=2.0,
        description="Logits of each token are divided by this: below 1 it dares less.",
        examples=[0.9],
    )
    top_p: float = Field(
        default=0.98,
        gt=0.0,
        le=1.0,
        description="Draw each token only from the likeliest that together have this probability "
        "(Holtzman et al. 2020).",
        examples=[0.9],
    )
    primer: PostedScore | None = Field(
        default=None,
        description="Go on from this: the hash of a MIDI file posted to /artifacts. It counts "
        "towards `seconds`, and its tempo and key are those of the piece. Not with `tempo` or "
        "`key`.",
        examples=["ab12" * 16],
    )
