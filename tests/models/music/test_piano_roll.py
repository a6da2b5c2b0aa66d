"""Rolls of scores, by hand."""

import numpy as np
import pytest

from models.music.piano_roll import DRUM_FADE, FADE, Rolled, drum_roll, faded, piano_roll
from models.score import DRUMS, Note, Score, ScoreError


def test_a_roll_has_what_sounds_and_what_is_struck() -> None:
    score = Score((Note(0.1, 0.3, 60, 127), Note(0.1, 0.2, 62, 64, 7), Note(0.3, 0.301, 61, 127)))
    roll = piano_roll(score, 10, range(60, 63))
    assert roll.shape == (2, 4, 3)
    half = np.float32(64 / 127)
    assert roll[0].tolist() == [[0, 0, 0], [1, 0, half], [1, 0, 0], [0, 1, 0]]
    assert roll[1].tolist() == [[0, 0, 0], [1, 0, half], [0, 0, 0], [0, 1, 0]]
    assert piano_roll(score, 10).shape == (2, 4, 128)
    assert (piano_roll(score, 10)[..., 60:63] == roll).all()


def test_a_roll_can_be_longer_or_shorter_than_its_score() -> None:
    score = Score((Note(0, 0.2, 60, 127), Note(0.3, 0.4, 36, 127, DRUMS)))
    assert piano_roll(score, 10, frames=1)[:, :, 60].tolist() == [[1], [1]]
    assert piano_roll(score, 10, frames=6)[0, :, 60].tolist() == [1, 1, 0, 0, 0, 0]
    assert drum_roll(score, 10, frames=2).sum() == 0


def test_whole_frames_are_not_missed_by_a_rounding() -> None:
    for frame in range(1, 300):
        roll = piano_roll(Score((Note(frame / 80, (frame + 1) / 80, 60),)), 80)
        assert roll.shape[1] == frame + 1
        assert np.flatnonzero(roll[0, :, 60]).tolist() == [frame]


def test_the_louder_of_two_instruments_on_a_pitch_counts() -> None:
    score = Score((Note(0, 1, 60, 100, 1), Note(0, 2, 60, 50, 2)))
    assert (piano_roll(score, 1)[0, :, 60] * 127).round().tolist() == [100, 50]


def test_percussion_is_rolled_by_groups() -> None:
    drums = [
        Note(i, i + 0.1, key, 127, DRUMS) for i, key in enumerate((36, 40, 50, 42, 46, 51, 75))
    ]
    roll = drum_roll(Score(tuple(drums)), 1)
    assert (roll == np.eye(7)).all()
    assert not piano_roll(Score(tuple(drums)), 1).any()


def test_a_pitch_that_has_no_place_is_told() -> None:
    with pytest.raises(ScoreError, match="pitch 20; 21 to 108"):
        piano_roll(Score((Note(0, 1, 20),)), 10, range(21, 109))


def test_what_was_struck_fades_until_it_is_struck_again() -> None:
    struck = np.array([[0], [1], [0], [0], [0.5], [0]], "f4")
    assert faded(struck, 1)[:, 0].tolist() == [0, 1, 0.5, 0.25, 0.5, 0.25]
    assert struck.sum() == 1.5


def test_a_net_is_told_what_sounds_what_was_struck_and_percussion() -> None:
    rolled = Rolled(60, 62)
    score = Score((Note(0, 0.2, 61, 127), Note(0.1, 0.2, 36, 127, DRUMS)))
    roll = rolled.roll(score, 10, 4)
    assert roll.shape == (4, rolled.channels) == (4, 3 + 3 + 7)
    assert roll[:, 1].tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(roll[:, 4], 2.0 ** -(np.arange(4) / (10 * FADE)), rtol=1e-5)
    fading = 2.0 ** -(np.arange(3) / (10 * DRUM_FADE))
    np.testing.assert_allclose(roll[:, 6], [0, *fading], rtol=1e-5)
    assert not np.delete(roll, [1, 4, 6], 1).any()
    with pytest.raises(ScoreError, match="pitch 70; 60 to 62 go"):
        rolled.roll(Score((Note(0, 1, 70),)), 10, 4)


@pytest.mark.parametrize("keys", [(5, 4), (-1, 5), (0, 128)])
def test_pitches_that_there_are_not_are_refused(keys: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no pitches from"):
        Rolled(*keys)
