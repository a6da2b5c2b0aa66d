"""Scores as Standard MIDI Files: written to the same bytes each time, read with care from anybody.

Read by mido, which is plain Python: a broken file can at worst raise.
"""

import io
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import mido

from models.score import DRUMS, TONICS, Note, Score, ScoreError

DIVISION = 960  # ticks a quarter note, of what is written
DRUM_CHANNEL = 9
CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
MOST_BYTES = 2**19
MOST_SECONDS = 600.0
MOST_TOGETHER = 128
SAME = {"C#": "Db", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B"}
WRITTEN = {"Db minor": "C#m", "Ab minor": "G#m"}  # those that a file has by another name


def write_midi(score: Score) -> bytes:
    """A file with a track of the measure and one of each instrument, 960 ticks a quarter note.

    Times are rounded to whole ticks, and tempo to whole microseconds a quarter. Raises ScoreError
    for more than 15 instruments beside percussion.
    """
    beat = round(60_000_000 / score.tempo)  # microseconds
    file = mido.MidiFile(type=1, ticks_per_beat=DIVISION)
    file.tracks.append(_measure(score, beat))
    programs = sorted({note.program for note in score.notes})
    pitched = [program for program in programs if program != DRUMS]
    if len(pitched) > len(CHANNELS):
        raise ScoreError(f"{len(pitched)} instruments; a MIDI file has room for {len(CHANNELS)}")
    channels = dict(zip(pitched, CHANNELS, strict=False)) | {DRUMS: DRUM_CHANNEL}
    for program in programs:
        notes = [note for note in score.notes if note.program == program]
        file.tracks.append(_track(notes, program, channels[program], beat))
    held = io.BytesIO()
    file.save(file=held)
    return held.getvalue()


def _measure(score: Score, beat: int) -> Any:
    over, under = score.meter
    told = [
        mido.MetaMessage("set_tempo", tempo=beat),
        mido.MetaMessage("time_signature", numerator=over, denominator=under),
    ]
    if score.key:
        tonic, mode = score.key.split()
        named = WRITTEN.get(score.key, tonic + ("m" if mode == "minor" else ""))
        told.append(mido.MetaMessage("key_signature", key=named))
    return mido.MidiTrack(told)


def _track(notes: list[Note], program: int, channel: int, beat: int) -> Any:
    events = []  # (tick, ends before onsets, pitch, velocity)
    for note in notes:
        first, last = (round(s * 1_000_000 * DIVISION / beat) for s in (note.onset, note.end))
        events += [(first, 1, note.pitch, note.velocity)]
        events += [(max(last, first + 1), 0, note.pitch, 0)]
    track = mido.MidiTrack()
    if program != DRUMS:
        track.append(mido.Message("program_change", channel=channel, program=program))
    before = 0
    for tick, _, pitch, velocity in sorted(events):
        said = {"channel": channel, "note": pitch, "velocity": velocity, "time": tick - before}
        track.append(mido.Message("note_on" if velocity else "note_off", **said))
        before = tick
    return track


def read_midi(
    data: bytes,
    most_seconds: float = MOST_SECONDS,
    most_together: int = MOST_TOGETHER,
    pitches: range = range(128),
) -> Score:
    """The score of a file of type 0 or 1, of at most 512 KiB; pedals and bends are not looked at.

    Tempo, meter and key are the first that it tells; changes of tempo are in the notes' times.
    Raises ScoreError: no MIDI file or a broken one, no notes, more than `most_together` at once,
    one that is not among `pitches` (percussion aside), or longer than `most_seconds`.
    """
    if len(data) > MOST_BYTES:
        raise ScoreError(f"the MIDI file has {len(data)} bytes; at most {MOST_BYTES} are read")
    if not data.startswith(b"MThd"):
        raise ScoreError("this is no MIDI file")
    try:
        file = mido.MidiFile(file=io.BytesIO(data))
        messages = list(mido.merge_tracks(file.tracks))
    except Exception as error:  # whatever a parser in the midst of broken bytes comes upon
        raise ScoreError(f"the MIDI file is broken: {error or type(error).__name__}") from None
    if file.type not in (0, 1):
        raise ScoreError(f"a MIDI file of type {file.type}; types 0 and 1 can be read")
    if file.ticks_per_beat <= 0:
        raise ScoreError("the MIDI file counts in film frames or not at all, not in quarter notes")
    reading = _Reading(file.ticks_per_beat, most_seconds, most_together, pitches)
    for message in messages:
        reading.take(message)
    return reading.done()


@dataclass(slots=True)
class _Reading:
    """Where the reading of a file has come to; times are in microseconds times the division, so
    that they are whole numbers however often the tempo changes."""

    division: int
    most_seconds: float
    most_together: int
    pitches: range
    now: int = 0
    beat: int = 500_000
    told: dict[str, Any] = field(default_factory=dict)
    """The first tempo, meter and key."""
    programs: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    sounding: dict[tuple[int, int], list[tuple[int, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By channel and pitch: when each was struck, how hard, and its program."""
    together: int = 0
    notes: list[Note] = field(default_factory=list)

    def take(self, message: Any) -> None:
        self.now += message.time * self.beat
        if message.type == "note_on" and message.velocity:
            self._strike(message)
        elif message.type in ("note_on", "note_off"):
            self._release(message.channel, message.note)
        elif message.type == "program_change":
            self.programs[message.channel] = message.program
        elif message.type == "set_tempo":
            if not message.tempo:
                raise ScoreError("the MIDI file has a tempo without end")
            self.beat = message.tempo
            self.told.setdefault("tempo", message.tempo)
        elif message.type == "time_signature":
            self.told.setdefault("meter", (message.numerator, message.denominator))
        elif message.type == "key_signature":
            self.told.setdefault("key", message.key)

    def _strike(self, message: Any) -> None:
        drums = message.channel == DRUM_CHANNEL
        if not drums and message.note not in self.pitches:
            low, high = self.pitches.start, self.pitches.stop - 1
            raise ScoreError(f"a note has the pitch {message.note}; {low} to {high} can be played")
        self.together += 1
        if self.together > self.most_together:
            raise ScoreError(f"more than {self.most_together} notes sound at once")
        program = DRUMS if drums else self.programs[message.channel]
        struck = (self.now, message.velocity, program)
        self.sounding[message.channel, message.note].append(struck)

    def _release(self, channel: int, pitch: int) -> None:
        if struck := self.sounding[channel, pitch]:
            self._end(pitch, *struck.pop(0))

    def _end(self, pitch: int, onset: int, velocity: int, program: int) -> None:
        self.together -= 1
        unit = 1_000_000 * self.division
        last = max(self.now, onset + self.beat) / unit  # a tick at the least
        if last > self.most_seconds:
            raise ScoreError(f"the score is longer than {self.most_seconds:g} seconds")
        self.notes.append(Note(onset / unit, last, pitch, velocity, program))

    def done(self) -> Score:
        for (_, pitch), struck in self.sounding.items():
            for one in struck:  # never released: to the end of the file
                self._end(pitch, *one)
        if not self.notes:
            raise ScoreError("the MIDI file has no notes")
        if len({note.program for note in self.notes} - {DRUMS}) > len(CHANNELS):
            raise ScoreError(f"the MIDI file has more than {len(CHANNELS)} instruments")
        tempo = 60_000_000 / self.told.get("tempo", 500_000)
        meter = self.told.get("meter", (4, 4))
        return Score(tuple(self.notes), tempo, meter, _key_of(self.told.get("key")))


def _key_of(written: str | None) -> str | None:
    """ "F#m" -> "F# minor"."""
    if written is None:
        return None
    tonic, mode = written.removesuffix("m"), "minor" if written.endswith("m") else "major"
    tonic = SAME.get(tonic, tonic)
    return f"{tonic} {mode}" if tonic in TONICS else None
