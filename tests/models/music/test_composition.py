"""A piece while it is written: how far it is, what may follow, and how it must begin."""

from typing import Any

import pytest

from models.music.composition import MOST, Composition, fixed_tokens, paced
from models.music.tokenizer import METERS, MusicTokens, snapped
from models.params.audio import ComposerParams
from models.score import KEYS, Note, Score, ScoreError, moved

WORDS = MusicTokens(["jazz", "folk"])
SCORE = Score((Note(0, 1, 60, 79), Note(1, 2, 64, 79), Note(2, 3, 67, 79)), 120, key="A minor")


def written(tokens: list[int], seconds: float = 4.0, tempo: float | None = None) -> Composition:
    piece = Composition(WORDS, seconds, tempo)
    for token in tokens:
        piece.add(token)
    return piece


def test_what_it_is_becomes_known_and_it_fills_up() -> None:
    piece, seen = Composition(WORDS, 4.0), []
    for token in WORDS.encode(SCORE, "folk"):
        piece.add(token)
        seen.append((tuple(piece.facts), piece.share, piece.over))
    assert [facts for facts, _, _ in seen[:4]] == [
        (2, 0, 0, 0),
        (2, 1 + KEYS.index("A minor"), 0, 0),
        (2, 1 + KEYS.index("A minor"), 21, 0),
        (2, 1 + KEYS.index("A minor"), 21, 1 + METERS.index((4, 4))),
    ]
    shares = [share for _, share, _ in seen]
    assert shares == sorted(shares)
    assert set(shares) == {0, 0.25, 0.5}
    assert [over for _, _, over in seen] == [False] * (len(seen) - 1) + [True]
    assert piece.score().notes == snapped(SCORE).notes


def test_it_is_over_when_it_is_full_and_is_cut_there() -> None:
    piece = written(WORDS.encode(SCORE, "folk")[:-1], seconds=1.5)
    assert piece.over
    assert piece.score().notes == (Note(0, 1, 60, 79), Note(1, 1.5, 64, 79))
    prefix = WORDS.prefix("jazz", None, 120, (4, 4))
    long = written([*prefix, *[WORDS.token("bar", 0)] * (MOST - 5)], 1e6)
    assert not long.over
    long.add(WORDS.token("bar", 0))
    assert long.over


def test_it_does_not_end_before_its_last_fifth() -> None:
    prefix, bar, end = WORDS.prefix("jazz", "C major", 120, (4, 4)), WORDS.token("bar", 0), 1
    assert WORDS.token("end", 0) == end
    for bars, may in ((0, False), (3, False), (4, True)):  # of two seconds each
        piece = written([*prefix, *[bar] * bars], seconds=10)
        assert bool(piece.may_follow()[end]) is may


def test_it_has_a_key_and_what_may_follow_is_the_grammar_s() -> None:
    piece = written([WORDS.token("style", 0)])
    keys = piece.may_follow().nonzero().flatten().tolist()
    assert keys == [WORDS.token("key", 1 + i) for i in range(len(KEYS))]
    with pytest.raises(ScoreError, match="bar token can't stand after style"):
        piece.add(WORDS.token("bar", 0))


def test_a_tempo_that_has_no_token_is_kept() -> None:
    tokens = WORDS.encode(SCORE, "folk")[:-1]
    piece = written(tokens, seconds=6, tempo=60.5)
    assert piece.share == pytest.approx(2 * 120 / 60.5 / 6)
    score = piece.score()
    assert score.tempo == 60.5
    assert score.notes[1].onset == pytest.approx(120 / 60.5)
    assert paced(score, 120).notes[2].end == pytest.approx(3)


def test_a_piece_begins_as_it_is_asked_to() -> None:
    free = fixed_tokens(WORDS, ComposerParams(), "folk", None)
    assert free == [WORDS.token("style", 1), None, None]
    asked = fixed_tokens(WORDS, ComposerParams(key="Db major", tempo=41.9), "jazz", None)
    assert asked[1:] == [WORDS.token("key", 2), WORDS.token("tempo", 0)]


def test_a_primer_is_moved_to_the_front_by_whole_bars() -> None:
    late = moved(SCORE, 4.5)
    tokens = fixed_tokens(WORDS, ComposerParams(), "jazz", late)
    assert tokens == WORDS.encode(moved(SCORE, 0.5), "jazz")[:-1]


@pytest.mark.parametrize(
    ("primer", "message"),
    [
        (SCORE, "the primer lasts 3 seconds, and the piece is to last no more than 3"),
        (Score(SCORE.notes[:1], meter=(7, 8)), "no tokens for the meter 7/8"),
        (Score(()), "the primer has no notes"),
    ],
)
def test_a_primer_that_can_not_be_gone_on_from_is_told(primer: Score, message: str) -> None:
    asked: Any = ComposerParams(seconds=3)
    with pytest.raises(ScoreError, match=message):
        fixed_tokens(WORDS, asked, "jazz", primer)
