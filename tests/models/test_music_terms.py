"""How requests may spell keys and styles."""

import re
from itertools import product
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from models.params.audio import ComposerParams
from models.params.music_terms import (
    KEY_PATTERN,
    STYLES,
    Key,
    SpelledKey,
    read_key,
    read_style,
    style_schema,
)
from models.score import KEYS

SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FLATS = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
SPELLINGS = {
    "C major": "C major, C, c, Cmaj, CM, c-major, C MAJOR, C Maj., B#, C natural, C大调",
    "C minor": "Cm, cm, C min, c minor, C_minor, c小调",
    "A minor": "a minor, Am, Amin",
    "F# major": "F#, Gb, G♭, f sharp, F-sharp major, g flat major, 升F大调",
    "Bb minor": "b-flat minor, Bbm, bb minor, B♭m, A# minor, a sharp minor, 降B小调",
    "B major": "b, B, Cb, Bmaj",
    "E major": "Fb,  E ",
}
WRONG = ["", "H", "major", "C#b", "Cmm", "C majorly", "C 7", "升C#", "C\n", "CC", "m", "x" * 10_000]


def test_the_names_are_those_of_scores() -> None:
    assert get_args(Key) == KEYS


@pytest.mark.parametrize(("key", "spellings"), SPELLINGS.items())
def test_a_key_has_many_spellings(key: str, spellings: str) -> None:
    for text in spellings.split(","):
        assert read_key(text) == key, text
        assert re.search(KEY_PATTERN, text), text


def test_every_letter_sign_and_mode_names_its_pitch() -> None:
    for letter, (sign, shift), mode in product(
        SEMITONES, {"": 0, "#": 1, "b": -1}.items(), ("major", "minor")
    ):
        tonic = FLATS[(SEMITONES[letter] + shift) % 12]
        assert read_key(f"{letter}{sign} {mode}") == f"{tonic} {mode}"


@pytest.mark.parametrize("text", WRONG)
def test_other_texts_are_no_keys(text: str) -> None:
    with pytest.raises(ValueError, match="it must be a key such as"):
        read_key(text)
    assert text.endswith("\n") or not re.search(KEY_PATTERN, text)


def test_the_params_hold_the_name_of_a_key() -> None:
    assert ComposerParams(key="b-flat minor").key == "Bb minor"  # type: ignore[arg-type]
    assert ComposerParams(key=None).key is None
    for wrong in ("H", 5, True, ["C"]):
        with pytest.raises(ValidationError, match="it must be a key"):
            ComposerParams(key=wrong)  # type: ignore[arg-type]
    texts = TypeAdapter(SpelledKey).json_schema()["anyOf"]
    assert texts[0]["enum"] == list(KEYS)


STYLE_TEXTS = {
    "gentle jazz for a rainy evening": "jazz",
    "Baroque organ": "classical",
    "TECHNO, and some jazz": "electronic",
    "慢的爵士": "jazz",
    "an Irish jig": "folk",
    "jazzercise": None,
    "polka": None,
    "": None,
}


@pytest.mark.parametrize(("text", "style"), STYLE_TEXTS.items())
def test_a_style_is_read_from_any_text(text: str, style: str | None) -> None:
    assert read_style(text, list(STYLES)) == style
    assert bool(re.search(style_schema(list(STYLES))["pattern"], text)) is (style is not None)


def test_a_models_own_styles_are_known_whole() -> None:
    styles = ["Hip Hop", "C++ (live)", "Été"]
    pattern = style_schema(styles)["pattern"]
    for text, style in (
        ("some HIP HOP please", "Hip Hop"),
        ("c++ (live)", "C++ (live)"),
        ("un ÉTÉ", "Été"),
        ("hop", None),
        ("jazz", None),
    ):
        assert read_style(text, styles) == style
        assert bool(re.search(pattern, text)) is (style is not None)


def test_a_long_text_is_not_searched() -> None:
    assert read_style("jazz".ljust(1000), ["jazz"]) == "jazz"
    assert read_style("jazz".ljust(1001), ["jazz"]) is None
    assert style_schema(["jazz"])["maxLength"] == 1000
