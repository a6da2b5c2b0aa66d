"""Scores, by hand."""

import pytest

from models.score import DRUMS, KEYS, Note, Score, ScoreError, moved, trimmed, within


def test_notes_are_put_in_order_and_a_key_struck_again_ends_the_note_before() -> None:
    first, again = Note(0, 4, 60), Note(1, 2, 60)
    other, low = Note(0.5, 3, 60, program=7), Note(0, 1, 48)
    score = Score((again, other, first, low))
    assert score.notes == (low, Note(0, 1, 60), other, again)
    assert score.seconds == 3
    assert Score((first, again, first)).notes == (Note(0, 1, 60), again)
    assert Score((Note(0, 1, 60), first)).notes == (first,)


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


def test_a_part_begins_at_0_with_what_sounds_there() -> None:
    score = Score((Note(0, 1, 60), Note(0.5, 2.5, 62), Note(2, 3, 64), Note(4, 5, 65)), tempo=90)
    cut = trimmed(score, 1, 3)
    assert cut.notes == (Note(0, 1.5, 62), Note(1, 2, 64))
    assert cut.tempo == 90
    assert moved(cut, 1).notes == (Note(1, 2.5, 62), Note(2, 3, 64))
    with pytest.raises(ScoreError):
        moved(cut, -1)


def test_what_is_out_of_reach_is_moved_by_octaves() -> None:
    notes = [Note(i, i + 1, p) for i, p in enumerate((1, 59, 60, 71, 72, 127))]
    drum = Note(0, 1, 36, program=DRUMS)
    moved_in = within(Score((*notes, drum)), range(60, 72))
    assert [n.pitch for n in moved_in.notes] == [36, 61, 71, 60, 71, 60, 67]
    assert within(moved_in, range(60, 72)) == moved_in
