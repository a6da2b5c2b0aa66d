"""Types of params that need more than a bound: posted files, labels, amounts by name. No torch."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Posted:
    """Marks a param that names a file which was posted to /artifacts before: which kind."""

    kind: Literal["image", "audio/midi"]  # what its content type begins with
    like: str | None = None  # the param that names a file of the same measures

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core) | {"artifact": self.kind}


def not_boolean(value: Any) -> Any:
    """Raises ValueError for true and false, which Python counts as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("it must be a number")  # noqa: TRY004 (pydantic takes no TypeError)
    return value


Upscale = Annotated[Literal[1, 4], BeforeValidator(not_boolean)]
"""How many times as wide and as high a result is made."""
PostedPicture = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$"), Posted("image")]
"""The SHA-256 of a picture that was posted to /artifacts."""


def legible(text: str) -> str:
    """Raises ValueError for text that says nothing, or that no keyboard writes."""
    if not text.strip():
        raise ValueError("it must say something")
    if any((ord(c) < 32 and c not in "\t\n\r") or ord(c) == 127 for c in text):
        raise ValueError("it must not hold control characters")
    return text


TEXT_LETTERS = 200_000  # of a text that a model reads as it is
BLANK = r"^\s*$"
ILLEGIBLE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|" + BLANK


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("it must say something")
    return text


FOREIGN = (
    r"[\u0370-\u1dbf\u1f00-\u1fff\u2c00-\u2dff\u2e80-\ua71f\ua800-\uabff\uac00-\ud7ff"
    r"\uf900-\ufaff\ufb13-\ufdff\ufe70-\ufeff\uff66-\uffdc]"
)
"""A letter of another script than Latin."""
LATIN = frozenset({"cs", "da", "de", "en", "es", "fi", "fr", "it", "nl", "no", "pl", "pt", "sv"})
"""Languages that are written in Latin letters, by ISO 639-1."""


@dataclass(frozen=True)
class Without:
    """Says in the JSON schema what text a validator of our own refuses, as a pattern.

    It is a `not`: the text is what does not match.
    """

    pattern: str

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core) | {"not": {"pattern": self.pattern}}


Prompt = Annotated[
    str, Field(min_length=1, max_length=1000), AfterValidator(legible), Without(ILLEGIBLE)
]
"""Words that say what to make."""
Passage = Annotated[
    str, Field(min_length=1, max_length=TEXT_LETTERS), AfterValidator(_said), Without(BLANK)
]
"""Text that a model reads as it is, whatever letters it has: a model may have written it."""
Line = Annotated[
    str, Field(min_length=1, max_length=100), AfterValidator(legible), Without(ILLEGIBLE)
]
"""A few words."""
Stop = Annotated[str, Field(min_length=1, max_length=1000)]
"""Text to end before."""
GuidanceScale = Annotated[
    float | None,
    Field(
        ge=0.0,
        le=20.0,
        description="How much to exaggerate what the words change (Ho and Salimans 2022): 1 is not "
        "at all, 0 leaves the words out, and both run in half the time. Null is the checkpoint's "
        "own.",
        examples=[3.0],
    ),
]
NegativePrompt = Annotated[
    Prompt | None,
    Field(
        description="What to stay away from: guidance leads from here to the prompt. Not with a "
        "`guidance_scale` of 1, which leads nowhere.",
        examples=["text"],
    ),
]


SHORTEST_SIDE, LONGEST_SIDE = 8, 1792
"""Pixels that a side of an `output_size` may have; DALL-E 3 has none that is longer."""
_SIDE = r"([89]|[1-9][0-9]{1,2}|1[0-6][0-9]{2}|17[0-8][0-9]|179[0-2])"  # 8 to LONGEST_SIDE
OutputSize = Annotated[str, Field(pattern=f"^{_SIDE}x{_SIDE}$")]
"""WIDTHxHEIGHT in pixels."""
SIDE_OVER_512 = "51[3-9]|5[2-9][0-9]|[6-9][0-9]{2}|[0-9]{4}"
"""Matches an output size with a side of more than 512 pixels."""
LONG_SIDE = "[0-9]{4}"
"""Matches an output size with a side of 1,000 pixels or more."""


PostedMask = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$"), Posted("image", like="init_image")]
"""The SHA-256 of a picture of the same size as `init_image`."""
PostedScore = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$"), Posted("audio/midi")]
"""The SHA-256 of a MIDI file that was posted to /artifacts."""


@lru_cache(64)  # asked of every request
def posted_fields(kind: type[BaseModel]) -> dict[str, Posted]:
    """The fields of a class that name posted files, and what file each takes."""
    return {
        name: mark
        for name, field in kind.model_fields.items()
        for mark in (*field.metadata, *_marks(field.annotation))
        if isinstance(mark, Posted)
    }


def _marks(annotation: Any) -> list[Any]:
    """What stands beside the types of a union."""
    return [mark for argument in get_args(annotation) for mark in get_args(argument)]


class LabelReader(NamedTuple):
    """Understands other texts than the names of labels."""

    read: Callable[[str, Sequence[str]], str | None]
    """The label that a text means among these, or None."""
    schema: Callable[[Sequence[str]], dict[str, Any]]
    """The JSON schema of the texts that mean one of these labels."""


def label_of(labels: Sequence[str], reader: LabelReader | None = None) -> Any:
    """The type of a label, by its name, its number or a text; it holds the name.

    A string of digits is a number only where no label is called so. `reader` reads other texts.
    """

    def named(value: Any) -> Any:
        if isinstance(value, str) and value not in labels:
            if value.isdecimal():
                value = int(value)
            elif reader is not None:
                return reader.read(value, labels) or value
        number = isinstance(value, int) and not isinstance(value, bool)
        return labels[value] if number and 0 <= value < len(labels) else value

    numbers = {"type": "integer", "minimum": 0, "maximum": len(labels) - 1}
    texts = [] if reader is None else [reader.schema(labels)]
    names = {"type": "string", "enum": list(labels)}
    schema = {"anyOf": [names, *texts, numbers, {"type": "null"}]}
    known: Any = Literal[tuple(labels)]
    return Annotated[known | None, BeforeValidator(named), WithJsonSchema(schema)]


def latin_of(languages: Sequence[str]) -> AfterValidator:
    """What refuses text in a script that a model of these languages doesn't write."""
    known = ", ".join(languages)

    def check(text: str | None) -> str | None:
        if re.search(FOREIGN, text or ""):
            raise ValueError(
                f"it has letters of a script that this model can't write: it knows {known}"
            )
        return text

    return AfterValidator(check)


def _sorted(value: dict[str, float]) -> dict[str, float]:
    return dict(sorted(value.items()))


Amount = Annotated[float, Field(ge=-5.0, le=5.0)]
BY_NAME = AfterValidator(_sorted)  # sums depend on their order, and JSON objects have none
Amounts = Annotated[dict[str, Amount], BY_NAME]
"""How far to move along directions, by their names."""


def amounts_of(names: Sequence[str]) -> Any:
    """The type of amounts of these alone."""
    known: Any = Literal[tuple(names)]
    return Annotated[dict[known, Amount], BY_NAME]
