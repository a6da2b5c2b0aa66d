"""MIDI files of every build: what is never played refuses none, an error says what is broken, and
the work is bounded by messages, not by bytes."""

import struct

import pytest

from models.music.midi import MOST_NOTES, MOST_TEMPOS, read_midi
from models.music.midi_events import (
    END_OF_TRACK,
    MOST_BYTES,
    MOST_CHUNKS,
    MOST_MESSAGES,
    read_events,
)
from models.score import DRUMS, Note, ScoreError

C = b"\x00\x90\x3c\x50\x83\x60\x80\x3c\x00"  # middle C for a quarter note of 480 ticks
END = b"\x00\xff\x2f\x00"
PLAIN = (Note(0, 0.5, 60, 80),)


def chunk(name: bytes, content: bytes, longer: int = 0) -> bytes:
    return name + struct.pack(">I", len(content) + longer) + content


def header(
    kind: int = 0, tracks: int = 1, division: bytes = b"\x01\xe0", more: bytes = b""
) -> bytes:
    return chunk(b"MThd", struct.pack(">HH", kind, tracks) + division + more)


def midi(*tracks: bytes, kind: int = 1, division: bytes = b"\x01\xe0") -> bytes:
    chunks = b"".join(chunk(b"MTrk", track) for track in tracks)
    return header(kind, len(tracks), division) + chunks


def meta(kind: int, content: bytes = b"") -> bytes:
    return bytes([0, 0xFF, kind, len(content)]) + content


NEVER_PLAYED = {
    "a key of 8 sharps": meta(0x59, b"\x08\x00"),
    "a key of 18 flats": meta(0x59, b"\xee\x01"),
    "a key of another mode": meta(0x59, b"\xfe\xff"),
    "a key without content": meta(0x59),
    "a meter of 0/4": meta(0x58, b"\x00\x02\x18\x08"),
    "a meter of 65/4": meta(0x58, b"\x41\x02\x18\x08"),
    "a meter of 4/2^200": meta(0x58, b"\x04\xc8\x18\x08"),
    "a meter cut short": meta(0x58, b"\x04"),
    "an SMPTE offset": meta(0x54, b"\xff\x00\x00\x00\x00"),
    "a port without content": meta(0x21),
    "a channel of two bytes": meta(0x20, b"\x00\x00"),
    "a number without content": meta(0x00),
    "a text in UTF-16": meta(0x03, "タイ".encode("utf-16")),
    "an unknown meta event": meta(0x60, b"abc"),
    "a control of 255": b"\x00\xb0\x07\xff",
    "a bend": b"\x00\xe0\x00\x40",
    "pressure": b"\x00\xd0\x40",
    "a system message": b"\x00\xf0\x03\x43\x10\xf7",
    "a system message without an end": b"\x00\xf0\x03\x43\x10\x11",
    "a system message of high bytes": b"\x00\xf0\x03\x43\xff\xf7",
    "a clock": b"\x00\xf8",
    "a song position": b"\x00\xf2\x01\x02",
}


@pytest.mark.parametrize("what", NEVER_PLAYED)
def test_what_is_never_played_refuses_no_file(what: str) -> None:
    score = read_midi(midi(NEVER_PLAYED[what] + C + END))
    assert (score.notes, score.tempo, score.meter, score.key) == (PLAIN, 120, (4, 4), None)


def test_the_first_key_and_meter_that_a_score_can_hold_count() -> None:
    odd = meta(0x58, b"\x41\x02") + meta(0x59, b"\x08\x00")
    known = meta(0x58, b"\x06\x03") + meta(0x59, b"\xfd\x01")
    score = read_midi(midi(odd + known + meta(0x58, b"\x03\x02") + C + END))
    assert (score.meter, score.key) == ((6, 8), "C minor")


TRACK = chunk(b"MTrk", C + END)
CONTAINERS = {
    "a track count too high": header(1, 5) + TRACK,
    "a track count too low": header(1, 0) + TRACK,
    "a header of 8 bytes": header(more=b"\x00\x00") + TRACK,
    "a vendor's chunk first": header() + chunk(b"XFIH", b"1234") + TRACK,
    "a vendor's chunk last": header() + TRACK + chunk(b"XFKM", b"1234"),
    "bytes behind the last track": header() + TRACK + bytes(100),
    "a track without an end": header() + chunk(b"MTrk", C),
    "a track longer than the file": header() + chunk(b"MTrk", C + END, longer=10),
    "an empty track": header(1, 2) + chunk(b"MTrk", b"") + TRACK,
    "notes behind the end of a track": header() + chunk(b"MTrk", C + END + C),
    "type 2 with one track": header(2) + TRACK,
    "a RIFF file": b"RIFF\x00\x00\x00\x00RMIDdata" + struct.pack("<I", 41) + header() + TRACK,
    "a RIFF file with more": b"RIFF\x00\x00\x00\x00RMIDDISP\x03\x00\x00\x00abc\x00data"
    + struct.pack("<I", 41)
    + header()
    + TRACK,
}


@pytest.mark.parametrize("what", CONTAINERS)
def test_any_container_that_players_take_is_read(what: str) -> None:
    assert read_midi(CONTAINERS[what]).notes == PLAIN


@pytest.mark.parametrize("between", ["a clock", "an SMPTE offset", "a system message"])
def test_a_status_goes_on_after_other_messages(between: str) -> None:
    track = b"\x00\x90\x3c\x50" + NEVER_PLAYED[between] + b"\x83\x60\x3c\x00" + END
    assert read_midi(midi(track)).notes == PLAIN


@pytest.mark.parametrize(
    ("beat", "ticks", "seconds", "tempo"),
    [(156, 5760, 0.001872, 120), (2**24 - 1, 60, 2.097151875, 120), (750_000, 480, 0.75, 80)],
)
def test_any_tempo_that_the_format_has_is_played(
    beat: int, ticks: int, seconds: float, tempo: float
) -> None:
    length = bytes([0x80 | ticks >> 7, ticks & 0x7F])
    track = meta(0x51, beat.to_bytes(3)) + b"\x00\x90\x3c\x50" + length + b"\x3c\x00" + END
    score = read_midi(midi(track))
    assert score.seconds == pytest.approx(seconds)
    assert score.tempo == tempo


def test_a_tempo_of_zero_counts_only_if_time_passes() -> None:
    zero, usual = meta(0x51, bytes(3)), meta(0x51, (500_000).to_bytes(3))
    assert read_midi(midi(zero + usual + C + END)).notes == PLAIN
    with pytest.raises(ScoreError, match="a tempo without end"):
        read_midi(midi(zero + C + END))


@pytest.mark.parametrize(
    ("division", "ticks_a_second"),
    [(b"\xe7\x28", 1000), (b"\xe8\x04", 96), (b"\xe2\x50", 2400), (b"\xe3\x64", 2997.002997)],
)
def test_files_that_count_in_film_frames_are_read(division: bytes, ticks_a_second: float) -> None:
    slow = meta(0x51, (1_000_000).to_bytes(3))  # film frames do not follow it
    score = read_midi(midi(slow + C + END, division=division))
    assert score.seconds == pytest.approx(480 / ticks_a_second)
    assert score.tempo == 60


def test_striking_a_key_again_ends_its_earlier_note() -> None:
    quarters = (b"\x83\x60\x3c" + velocity for velocity in (b"\x40", b"\x00", b"\x00"))
    again = b"\x00\x90\x3c\x50" + b"".join(quarters)
    assert read_midi(midi(again + END)).notes == (Note(0, 0.5, 60, 80), Note(0.5, 1, 60, 64))


def test_drums_that_are_never_released_do_not_sound_together() -> None:
    score = read_midi(midi(b"\x00\x99\x24\x5a" + b"\x78\x24\x5a" * 500 + END))
    assert len(score.notes) == 501
    assert {note.program for note in score.notes} == {DRUMS}


def test_two_tracks_may_have_a_key_in_turn_on_one_channel() -> None:
    """The one that strikes comes first in the file, and at the tick at which the other releases."""
    later = b"\x83\x60\x90\x3c\x40\x83\x60\x3c\x00" + END
    assert read_midi(midi(later, C + END)).notes == (Note(0, 0.5, 60, 80), Note(0.5, 1, 60, 64))


def test_a_note_may_be_released_in_another_track() -> None:
    score = read_midi(midi(b"\x00\x90\x3c\x50" + END, b"\x83\x60\x80\x3c\x00\x83\x60\xff\x2f\x00"))
    assert score.notes == PLAIN


BROKEN = {
    "this is no MIDI file": chunk(b"MTrk", C + END),
    "its header is cut short": chunk(b"MThd", b"\x00\x00\x00\x01"),
    "its header is cut short ": header()[:-2],
    "its quarter notes have 0 ticks": midi(C, division=b"\x00\x00"),
    "it counts 27 film frames a second with 4 ticks": midi(C, division=b"\xe5\x04"),
    "it counts 25 film frames a second with 0 ticks": midi(C, division=b"\xe7\x00"),
    "type 2; types 0 and 1": midi(C + END, C + END, kind=2),
    "type 3; types 0 and 1": midi(C + END, kind=3),
    "track 2 is cut short": header(1, 2) + TRACK + chunk(b"MTrk", C, longer=4),
    "track 1 is cut short at byte": midi(b"\x00\xff\x01\x7f" + C),
    "track 1 is cut short at byte ": midi(C + b"\x00\x90\x3c"),
    "track 1 is cut short at byte  ": midi(C + b"\x81"),
    "track 1 begins with data of no message": midi(b"\x00\x3c\x50" + END),
    "track 1 has a number of more than 4 bytes at byte 4": midi(b"\x81\x80\x80\x80\x00" + C),
    "track 1 has a tempo of 2 bytes; it takes 3": midi(meta(0x51, b"\x07\xa1") + C),
    "track 1 has a note or program with the number 200": midi(b"\x00\x90\xc8\x50" + END),
    "the MIDI file has no notes": header(),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_says_what_is_broken(what: str) -> None:
    with pytest.raises(ScoreError, match=what.strip()):
        read_midi(BROKEN[what])


@pytest.mark.parametrize("wrapped", [b"", b"RIFF\x00\x00\x00\x00RMID"])
def test_a_file_of_nothing_is_none(wrapped: bytes) -> None:
    with pytest.raises(ScoreError, match="no MIDI file"):
        read_midi(wrapped)


DENSE = {
    "more than 2000 chunks": header() + chunk(b"MTrk", b"") * MOST_CHUNKS,
    "more than 2000 chunks ": header() + chunk(b"XFIH", b"") * 60_000,
    "more than 100000 messages": midi(b"\x00\xc0\x00" + b"\x00\x00" * MOST_MESSAGES),
    "more than 100000 messages ": midi(b"\x00\xf8" * (MOST_MESSAGES + 1)),
    "more than 100000 messages  ": midi(*[b"\x00\xf8" * (MOST_MESSAGES // 2)] * 2, C),
    "more than 30000 notes": midi(b"\x00\x90\x3c\x50" + b"\x01\x3c\x50" * (MOST_NOTES + 1)),
    "more than 10000 times": midi(meta(0x51, b"\x01\x00\x00") * (MOST_TEMPOS + 1)),
    "more than 4 bytes at byte 4 of it": midi(b"\xff" * 500_000),
    "at most 524288 are read": header() + bytes(MOST_BYTES),
    "more than 128 notes sound at once": midi(
        b"".join(bytes([0, 0x90 | i // 100, i % 100, 80]) for i in range(129))
    ),
}


@pytest.mark.parametrize("what", DENSE)
def test_a_file_of_more_work_than_bytes_is_refused(what: str) -> None:
    with pytest.raises(ScoreError, match=what.strip()):
        read_midi(DENSE[what])


def test_no_more_is_read_of_a_file_than_its_limits_allow() -> None:
    """A file at the limits is taken; the reader comes to an event for each message, not more."""
    tempos = meta(0x51, b"\x01\x00\x00") * MOST_TEMPOS
    notes = b"\x00\x90\x3c\x50" + b"\x01\x3c\x50" * (MOST_NOTES - 1)
    rest = (
        b"\x00\xc0"
        + b"\x00\x00\x00"[:1]
        + b"\x00\x00" * (MOST_MESSAGES - MOST_TEMPOS - MOST_NOTES - 2)
    )
    data = midi(tempos + notes + rest + END)
    events = read_events(data).events
    assert len(events) == MOST_MESSAGES
    assert events[-1][2] == END_OF_TRACK
    assert len(read_midi(data).notes) == MOST_NOTES
