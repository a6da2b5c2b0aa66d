"""The dictionary of poems: held to `pronouncing`, another reader of the same file."""

import pronouncing
import pytest

from models.language.poems import dictionary
from models.language.poems.dictionary import (
    DictionaryMissing,
    PronouncingDictionary,
    english,
    parse,
)

LINES = """
fire F AY1 ER0
fire(2) F AY1 R
am AE1 M
am(2) EY1 EH1 M
re R EY1
rarely R EH1 R L IY0
aalborg AO1 L B AO0 R G # place, danish
o'clock AH0 K L AA1 K
's EH1 S
shh SH
""".strip().splitlines()
COMMON = dict.fromkeys(["fire", "am", "re", "aalborg", "o'clock", "'s", "shh"], 1000)


def test_a_word_is_read_with_its_first_pronunciation() -> None:
    fire = next(entry for entry in parse(LINES, COMMON) if entry.text == "fire")
    assert (fire.phonemes, fire.syllables, fire.rhyme) == ("F AY1 ER0", 2, "AY1 ER0")
    assert not fire.is_exact  # it may also have one syllable


def test_names_rare_words_fragments_and_what_has_no_vowel_are_left_out() -> None:
    assert [entry.text for entry in parse(LINES, COMMON)] == ["fire", "am", "o'clock"]


def test_a_pronunciation_by_letters_does_not_count() -> None:
    assert next(entry for entry in parse(LINES, COMMON) if entry.text == "am").is_exact


def test_prefixes_are_found_by_their_range() -> None:
    known = PronouncingDictionary(parse(LINES, COMMON | {"rarely": 500}))
    assert [entry.text for entry in known.entries] == ["am", "fire", "o'clock", "rarely"]
    assert known.range_of("") == (0, 4)
    assert known.range_of("fi") == (1, 2)
    assert known.range_of("o'c") == (2, 3)
    assert known.range_of("x") == (4, 4)
    assert (known.index_of("rarely"), known.index_of("rare")) == (3, -1)


def test_syllables_and_rhymes_are_those_of_another_reader() -> None:
    entries = english().entries[::40]
    assert len(entries) > 500
    for entry in entries:
        phones = pronouncing.phones_for_word(entry.text)
        assert entry.phonemes == phones[0]
        assert entry.syllables == pronouncing.syllable_count(phones[0])
        assert entry.rhyme == pronouncing.rhyming_part(phones[0])


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "find_spec", lambda name: None)
    english.cache_clear()
    with pytest.raises(DictionaryMissing, match="the package spellchecker is not installed"):
        english()
    english.cache_clear()
