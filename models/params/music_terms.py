"""How requests may spell musical keys and styles. No torch: the API imports this."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, WithJsonSchema

Key = Literal[
    "C major",
    "Db major",
    "D major",
    "Eb major",
    "E major",
    "F major",
    "F# major",
    "G major",
    "Ab major",
    "A major",
    "Bb major",
    "B major",
    "C minor",
    "Db minor",
    "D minor",
    "Eb minor",
    "E minor",
    "F minor",
    "F# minor",
    "G minor",
    "Ab minor",
    "A minor",
    "Bb minor",
    "B minor",
]
"""`models.score.KEYS`, for whoever checks types."""

STYLES: Mapping[str, str] = {
    "classical": "classic baroque bach chorale choral choir hymn church organ chamber orchestral "
    "symphonic sonata 古典 巴洛克",
    "folk": "folky traditional celtic irish scottish fiddle jig reel hornpipe waltz country "
    "acoustic ballad pub 民谣 民歌",
    "jazz": "jazzy swing swinging bebop bop blues bluesy bossa ragtime lounge saxophone sax 爵士 "
    "蓝调",
    "electronic": "electro electronica techno house trance edm dance disco club rave synth "
    "synthwave chiptune 电子 舞曲",
}
"""Other words for some styles, separated by spaces."""
LONGEST_TEXT = 1000  # characters that are searched for a style

SIGNS: Mapping[str, str] = {
    **dict.fromkeys(("#", "♯", "sharp", "升"), "#"),
    **dict.fromkeys(("b", "♭", "flat", "降"), "b"),
    **dict.fromkeys(("♮", "natural"), ""),
}
ENHARMONIC = {"C#": "Db", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B", "Fb": "E"}
ENHARMONIC |= {"E#": "F", "B#": "C"}
MAJOR = ("major", "maj", "大调")
MINOR = ("minor", "min", "小调")


def _one_of(terms: Iterable[str]) -> str:
    """A regular expression for these terms in either case, for Python and JSON Schema alike."""
    return "|".join("".join(map(_in_any_case, term)) for term in terms)


def _in_any_case(char: str) -> str:
    lower, upper = char.lower(), char.upper()
    if lower != upper and len(lower) == len(upper) == 1:
        return f"[{upper}{lower}]"
    return f"\\{char}" if char in r"^$\.*+?()[]{}|/" else char


KEY_PATTERN = (
    "^ *(?:([升降])([A-Ga-g])"  # in Chinese the sign comes first
    f"|([A-Ga-g])[ _-]*({_one_of(SIGNS)})?)"
    f"[ _-]*({_one_of((*MAJOR, *MINOR))}|[Mm])?[.]? *$"
)
WRONG_KEY = "it must be a key such as 'C major', 'Bb', 'f-sharp minor' or 'Am'"


def key_of(tonic: str, sign: str, mode: str) -> str:
    """The name of a key in `Key`, from a letter, a sign of SIGNS or nothing, and a mode.

    The mode is a word of MAJOR or MINOR, `M`, `m`, or nothing, which means major.
    """
    spelled = tonic.upper() + (SIGNS[sign.lower()] if sign else "")
    minor = mode == "m" or mode.lower() in MINOR
    return f"{ENHARMONIC.get(spelled, spelled)} {'minor' if minor else 'major'}"


def read_key(value: Any) -> Any:
    """The name in `Key` of a key in any spelling; null stays null. Raises ValueError."""
    if value is None:
        return None
    match = re.fullmatch(KEY_PATTERN, value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(WRONG_KEY)
    return key_of(match[2] or match[3], match[1] or match[4] or "", match[5] or "")


SpelledKey = Annotated[
    Key | None,
    BeforeValidator(read_key),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": list(get_args(Key))},
                {"type": "string", "pattern": KEY_PATTERN},
                {"type": "null"},
            ]
        }
    ),
]
"""A key in any spelling; it holds the name in `Key`."""


Terms = Mapping[Any, Sequence[str]]
"""Words or phrases, by what they stand for."""


def first_term(text: str, terms: Terms) -> Any:
    """What the first known term of a text stands for, or None."""
    folded = text.casefold()
    positions = [
        (position, meaning)
        for meaning, known in terms.items()
        for term in known
        if (position := _position(folded, term.casefold())) is not None
    ]
    return min(positions, key=lambda pair: pair[0])[1] if positions else None


def _position(text: str, term: str) -> int | None:
    """Where a text has a term: between spaces or signs, in scripts that write them."""
    ends = r"(?<![a-z])", r"(?![a-z])"
    match = re.search(re.escape(term).join(ends) if term.isascii() else re.escape(term), text)
    return match and match.start()


def style_terms(styles: Iterable[str]) -> Terms:
    """What a model's own styles are known by: their names, and what STYLES has."""
    return {style: (style, *STYLES.get(style, "").split()) for style in styles}


def read_style(text: str, styles: Iterable[str]) -> str | None:
    """The style that a text of at most LONGEST_TEXT characters names first, if any."""
    style: str | None = first_term(text, style_terms(styles))
    return style if len(text) <= LONGEST_TEXT else None


def style_schema(styles: Iterable[str]) -> dict[str, Any]:
    """The JSON schema of the texts in which `read_style` finds a style."""
    terms = [term for known in style_terms(styles).values() for term in known]
    ascii_terms = _one_of(term for term in terms if term.isascii())
    others = [_one_of([term]) for term in terms if not term.isascii()]
    pattern = "|".join((f"(?:^|[^A-Za-z])(?:{ascii_terms})(?:[^A-Za-z]|$)", *others))
    return {"type": "string", "pattern": pattern, "maxLength": LONGEST_TEXT}
