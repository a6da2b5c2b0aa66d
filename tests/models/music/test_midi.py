"""MIDI files written, read again, read by another library, and broken in every way."""

import io
import random
from typing import Any

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.music.midi import read_midi, write_midi
from models.music.midi_events import MOST_BYTES
from models.score import DRUMS, KEYS, Note, Score, ScoreError

A_SCORE = Score(
    (
        Note(0, 0.5, 60, 90),
        Note(0, 1, 64, 70),
        Note(0.5, 1, 60, 80),
        Note(0.25, 0.75, 40, 100, 33),
        Note(0.75, 0.8, 36, 127, DRUMS),
    ),
    tempo=120,
    meter=(3, 4),
    key="Eb minor",
)


KEY = st.sampled_from([None, *KEYS])


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """Of notes on whole ticks, so that a file holds them exactly."""
    tick = 60 / 120 / 960
    notes = [
        Note(first * tick, (first + length) * tick, pitch, velocity, program)
        for first, length, pitch, velocity, program in draw(
            st.lists(
                st.tuples(
                    st.integers(0, 5000),
                    st.integers(1, 5000),
                    st.integers(0, 127),
                    st.integers(1, 127),
                    st.sampled_from([0, 5, 127, DRUMS]),
                ),
                min_size=1,
                max_size=30,
            )
        )
    ]
    return Score(tuple(notes), 120, draw(st.sampled_from([(4, 4), (6, 8)])), draw(KEY))


@settings(max_examples=25, deadline=None)
@given(scores())
def test_what_is_written_is_read_again(score: Score) -> None:
    data = write_midi(score)
    again = read_midi(data)
    assert (again.tempo, again.meter, again.key) == (score.tempo, score.meter, score.key)
    assert len(again.notes) == len(score.notes)
    for had, has in zip(score.notes, again.notes, strict=True):
        assert (has.pitch, has.velocity, has.program) == (had.pitch, had.velocity, had.program)
        assert (has.onset, has.end) == pytest.approx((had.onset, had.end), abs=1e-9)
    assert write_midi(again) == data


@pytest.mark.parametrize("tempo", [40.0, 97.3, 133.0, 240.0])
def test_any_tempo_moves_a_note_by_less_than_a_millisecond(tempo: float) -> None:
    times = [0.0003, 0.1, 1 / 3, 2.71828, 59.9999]
    score = Score(tuple(Note(t, t + 0.2, 60 + i) for i, t in enumerate(times)), tempo)
    again = read_midi(write_midi(score))
    assert again.tempo == pytest.approx(tempo, rel=1e-5)
    assert [n.onset for n in again.notes] == pytest.approx(times, abs=8e-4)


def test_another_library_reads_the_same() -> None:
    symusic = pytest.importorskip("symusic", reason="reads MIDI files independently")
    other = symusic.Score.from_midi(write_midi(A_SCORE)).to("second")
    notes = [
        Note(n.start, n.end, n.pitch, n.velocity, DRUMS if track.is_drum else track.program)
        for track in other.tracks
        for n in track.notes
    ]
    assert [(n.pitch, n.velocity, n.program) for n in sorted(notes)] == [
        (n.pitch, n.velocity, n.program) for n in A_SCORE.notes
    ]
    for one, ours in zip(sorted(notes), A_SCORE.notes, strict=True):
        assert (one.onset, one.end) == pytest.approx((ours.onset, ours.end), abs=1e-3)
    assert other.tempos[0].qpm == 120
    assert (other.time_signatures[0].numerator, other.time_signatures[0].denominator) == (3, 4)
    assert (other.key_signatures[0].key, other.key_signatures[0].tonality) == (-6, 1)


def midi(*messages: Any, division: int = 480, kind: int = 0) -> bytes:
    file = mido.MidiFile(type=kind, ticks_per_beat=division)
    file.tracks.append(mido.MidiTrack(messages))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def on(pitch: int, time: int = 0, velocity: int = 64, channel: int = 0) -> Any:
    return mido.Message("note_on", note=pitch, time=time, velocity=velocity, channel=channel)


def off(pitch: int, time: int = 0) -> Any:
    return mido.Message("note_off", note=pitch, time=time)


def test_changes_of_tempo_and_of_instrument_are_in_the_notes() -> None:
    slow = mido.MetaMessage("set_tempo", tempo=1_000_000)
    change = mido.Message("program_change", program=12)
    data = midi(on(60), off(60, 480), slow, change, on(62), on(62, 480, velocity=0))
    score = read_midi(data)
    assert score.notes == (Note(0, 0.5, 60, 64), Note(0.5, 1.5, 62, 64, 12))
    assert score.tempo == 60


def test_a_note_that_is_never_released_lasts_to_the_end() -> None:
    assert read_midi(midi(on(60), on(64), off(64, 960))).notes[0] == Note(0, 1, 60, 64)


def test_a_note_released_at_once_lasts_a_tick() -> None:
    assert read_midi(midi(on(60), off(60))).seconds == pytest.approx(0.5 / 480)


BAD = {
    "no MIDI file": b"RIFF0000WAVE",
    "no MIDI file ": b"",
    "broken": midi(on(60), off(60, 480))[:-9],
    "has no notes": midi(),
    "has no notes ": midi(off(60)),
    "more than 128 notes sound at once": midi(*(on(i % 128, channel=i // 128) for i in range(129))),
    "more than 128 notes sound": midi(*(on(i % 128, channel=i // 128) for i in range(2048))),
    "longer than 600 seconds": midi(on(60), off(60, 480 * 1201)),
    "longer than 600": midi(on(60), off(60, 1), on(60, 2**27), off(60, 1)),
    "longer than 600 ": midi(  # a tick of 17 seconds, which is the least that a note lasts
        mido.MetaMessage("set_tempo", tempo=2**24 - 1), on(60, 35), off(60), division=1
    ),
    "27 film frames": midi(on(60), off(60, 480), division=-27 * 256 + 4),
    "quarter notes have 0 ticks": midi(on(60), off(60, 480), division=0),
    "at most 524288 are read": b"MThd" + bytes(MOST_BYTES),
    "a tempo without end": midi(mido.MetaMessage("set_tempo", tempo=0), on(60), off(60, 480)),
    "more than 15 instruments": midi(
        *(m for i in range(16) for m in (mido.Message("program_change", program=i), on(i), off(i)))
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_can_not_be_played_is_refused_in_words(what: str) -> None:
    with pytest.raises(ScoreError, match=what.strip()):
        read_midi(BAD[what])


def test_the_reader_may_be_asked_for_less() -> None:
    data = write_midi(A_SCORE)
    with pytest.raises(ScoreError, match="the pitch 64; 21 to 60 can be played"):
        read_midi(data, pitches=range(21, 61))
    with pytest.raises(ScoreError, match="more than 2 notes"):
        read_midi(data, most_together=2)
    with pytest.raises(ScoreError, match=r"longer than 0\.7 seconds"):
        read_midi(data, most_seconds=0.7)
    assert read_midi(data, 1, 3, range(40, 65)) == read_midi(data)


def test_damaged_bytes_give_a_score_or_a_reason() -> None:
    whole, rng = write_midi(A_SCORE), random.Random(1)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
        try:
            score = read_midi(bytes(data[: rng.randint(10, len(data))]))
        except ScoreError:
            continue
        assert 0 < score.seconds <= 600


def test_too_many_instruments_can_not_be_written() -> None:
    many = Score(tuple(Note(i, i + 1, 60, program=i) for i in range(16)))
    with pytest.raises(ScoreError, match="16 instruments"):
        write_midi(many)
