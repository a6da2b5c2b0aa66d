"""Floors of sequences, and what pieces share, by hand."""

import numpy as np
import pytest

from models.music.tokenizer import MusicTokens
from models.score import DRUMS, Note, Score
from training.metrics.music.copying import CopyIndex, runs_of
from training.metrics.music.ngrams import bigram_bits, unigram_bits

WORDS = MusicTokens(["jazz"])


def piece(pitches: list[int], at: float = 0.0, quarter: float = 0.5, drums: int = 0) -> np.ndarray:
    notes = [Note(at + i * quarter, at + (i + 1) * quarter, p, 79) for i, p in enumerate(pitches)]
    notes += [Note(i * 0.25, i * 0.25 + 0.1, 36, 79, DRUMS) for i in range(drums)]
    return np.array(WORDS.encode(Score(tuple(notes), 120), "jazz"))


def known(*pieces: np.ndarray) -> CopyIndex:
    return CopyIndex.of([runs_of(WORDS, one) for one in pieces])


def longest(index: CopyIndex, tokens: np.ndarray) -> int:
    return index.longest(runs_of(WORDS, tokens))


TUNE = [60, 62, 64, 65, 67, 69, 71, 72, 60, 48, 55, 61]


def test_a_copy_is_found_in_whatever_key_and_wherever_it_stands() -> None:
    index = known(piece([50, 50, 50]), piece(TUNE))
    assert longest(index, piece(TUNE)) == len(TUNE)
    assert longest(index, piece([p + 5 for p in TUNE])) == len(TUNE)
    assert longest(index, piece(TUNE, at=1.5)) == len(TUNE)
    assert longest(index, piece(TUNE, drums=9)) == len(TUNE)
    assert longest(index, piece([1, 3, *TUNE[2:9], 20])) == 7


def test_another_rhythm_is_no_copy_and_pieces_are_not_read_across_their_ends() -> None:
    index = known(piece(TUNE[:6]), piece(TUNE[6:]))
    assert longest(index, piece(TUNE, quarter=0.25)) == 0
    assert longest(index, piece(TUNE)) == 6
    assert longest(index, piece([60])) == 0
    assert longest(known(piece([60])), piece(TUNE)) == 0


def test_bars_and_lengths_count() -> None:
    short = [Note(i * 0.5, i * 0.5 + 0.25, p, 79) for i, p in enumerate(TUNE)]
    tokens = np.array(WORDS.encode(Score(tuple(short), 120), "jazz"))
    assert longest(known(piece(TUNE)), tokens) == 0
    waltz = Score(
        tuple(Note(i * 0.5, i * 0.5 + 0.5, p, 79) for i, p in enumerate(TUNE)), 120, (3, 4)
    )
    assert longest(known(piece(TUNE)), np.array(WORDS.encode(waltz, "jazz"))) == len(TUNE)


def test_a_unigram_knows_how_frequent_tokens_are() -> None:
    train = np.array([[3, 1, 1, 2, 0]] * 1000)
    test = np.array([[3, 1, 2, 0, 0]])
    assert unigram_bits(train, test, 4, 1) == pytest.approx((1 + 2) / 2, abs=0.01)
    assert unigram_bits(train, test, 4, 0) == pytest.approx((2 + 1 + 2) / 3, abs=0.01)


def test_a_bigram_knows_what_follows_what() -> None:
    train = np.array([[1, 2, 1, 2, 3, 0], [1, 2, 1, 2, 3, 0]] * 1000)
    known_after = bigram_bits(train, np.array([[1, 2]]), 4, 1)
    assert known_after == pytest.approx(0, abs=0.01)
    either = bigram_bits(train, np.array([[2, 3]]), 4, 1)
    assert either == pytest.approx(1, abs=0.01)
