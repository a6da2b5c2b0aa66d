"""What words that ask for music are taken for."""

from typing import Any, get_args

import pytest

from app.openai.music.vocabulary import KEYS, TEMPOS, understand
from models.params.audio import FASTEST, SLOWEST
from models.params.music_terms import STYLES, Key

ALL = ("style", "tempo", "key")
TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("gentle jazz for a rainy evening", {"style": "jazz", "tempo": 76.0}),
    ("JAZZ", {"style": "jazz"}),
    ("a slow Bach chorale in D minor", {"style": "classical", "tempo": 76.0, "key": "D minor"}),
    ("techno and some jazz", {"style": "electronic"}),
    ("an Irish jig, fast, 132 bpm", {"style": "folk", "tempo": 132.0}),
    ("F# minor", {"key": "F# minor"}),
    ("c sharp major", {"key": "Db major"}),
    ("in e-flat major", {"key": "Eb major"}),
    ("B♭ minor blues", {"style": "jazz", "key": "Bb minor"}),
    ("in Gb maj, 90 bpm", {"tempo": 90.0, "key": "F# major"}),
    ("降B小调的古典", {"style": "classical", "key": "Bb minor"}),
    ("something sad", {"key": "A minor"}),
    ("慢的爵士, 小调", {"style": "jazz", "tempo": 76.0, "key": "A minor"}),
    ("9 bpm", {}),
    ("999 bpm slow", {"tempo": 76.0}),
    ("jazzercise", {}),
    ("a love song", {}),
    ("", {}),
]


@pytest.mark.parametrize(("text", "params"), TEXTS)
def test_words_are_known_whole_and_the_first_counts(text: str, params: dict[str, Any]) -> None:
    assert understand(text, STYLES, ALL).params == params


def test_a_models_own_styles_are_known_by_name() -> None:
    assert understand("Space Polka, please", ["polka", "jazz"], ALL).params == {"style": "polka"}
    assert understand("techno", ["polka", "jazz"], ALL).params == {}


def test_what_a_model_lacks_is_not_asked_for() -> None:
    assert understand("slow jazz in C minor", STYLES, ["style"]).params == {"style": "jazz"}


def test_what_was_understood_is_told() -> None:
    assert understand("slow jazz", STYLES, ALL).summary == "style jazz, tempo 76.0"
    assert understand("hm", STYLES, ALL).summary == "nothing: what was left open is drawn"


def test_the_table_asks_for_what_can_be_asked() -> None:
    assert all(SLOWEST <= tempo <= FASTEST for tempo in TEMPOS)
    assert set(KEYS) <= set(get_args(Key))
    known = " ".join(STYLES.values()).split()
    assert len(known) == len(set(known))
