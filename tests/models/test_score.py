"""Scores and their rolls, by hand."""

import numpy as np
import pytest

from models.score import DRUMS, KEYS, Note, Score, ScoreError, drum_roll, moved, part, piano_roll


def test_notes_are_put_in_order_and_a_key_struck_again_ends_the_note_before() -> None:
    held, again = Note(0, 4, 60), Note(1, 2, 60)
    other, low = Note(0.5, 3, 60, program=7), Note(0, 1, 48)
    score = Score((again, other, held, low))
    assert score.notes == (low, Note(0, 1, 60), other, again)
    assert score.seconds == 3
    assert Score((held, again, held)).notes == (Note(0, 1, 60), again)
    assert Score((Note(0, 1, 60), held)).notes == (held,)


@pytest.mark.parametrize(
    "values",
    [
        (0, 0, 60),
        (-1, 1, 60),
        (1, float("inf"), 60),
        (float("nan"), 1, 60),
        (0, 1, 128),
        (0, 1, -1),
        (0, 1, 60, 0),
        (0, 1, 60, 128),
        (0, 1, 60, 80, 129),
    ],
)
def test_a_note_out_of_range_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ScoreError, match="a note"):
        Note(*values)  # type: ignore[arg-type]


def test_measure_out_of_range_is_refused() -> None:
    assert len(KEYS) == 24
    with pytest.raises(ScoreError, match="tempo of 0"):
        Score((), tempo=0)
    with pytest.raises(ScoreError, match="no key 'H major'"):
        Score((), key="H major")
    with pytest.raises(ScoreError, match="meter of 4/3"):
        Score((), meter=(4, 3))
    assert Score((), meter=(6, 8)).quarters == 3
    assert Score(()).seconds == 0


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


def test_a_part_begins_at_0_with_what_sounds_there() -> None:
    score = Score((Note(0, 1, 60), Note(0.5, 2.5, 62), Note(2, 3, 64), Note(4, 5, 65)), tempo=90)
    cut = part(score, 1, 3)
    assert cut.notes == (Note(0, 1.5, 62), Note(1, 2, 64))
    assert cut.tempo == 90
    assert moved(cut, 1).notes == (Note(1, 2.5, 62), Note(2, 3, 64))
    with pytest.raises(ScoreError):
        moved(cut, -1)
