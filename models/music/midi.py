"""Scores as Standard MIDI Files: written by mido to the same bytes each time, read from anybody.

Files are read by `midi_events`, whose work is bounded; what a score is made of is bounded here.
"""

import io
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import mido

from models.music.midi_events import (
    KEY,
    METER,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM,
    TEMPO,
    Event,
    MidiEvents,
    read_events,
)
from models.score import (
    DRUMS,
    FASTEST,
    OCTAVE,
    SLOWEST,
    TONICS,
    Note,
    Score,
    ScoreError,
    is_meter,
)

DIVISION = 960  # ticks a quarter note, of what is written
DRUM_CHANNEL = 9
CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
DEFAULT_BEAT = 500_000  # microseconds a quarter note, where a file has no tempo
MOST_SECONDS = 600.0
MOST_TOGETHER = 128
MOST_NOTES = 30_000
MOST_TEMPOS = 10_000
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
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _measure(score: Score, beat: int) -> Any:
    over, under = score.meter
    messages = [
        mido.MetaMessage("set_tempo", tempo=beat),
        mido.MetaMessage("time_signature", numerator=over, denominator=under),
    ]
    if score.key:
        tonic, mode = score.key.split()
        named = WRITTEN.get(score.key, tonic + ("m" if mode == "minor" else ""))
        messages.append(mido.MetaMessage("key_signature", key=named))
    return mido.MidiTrack(messages)


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
    """The score of a file of at most 512 KiB; pedals and bends are not looked at.

    Changes of tempo are in the notes' times. Tempo, meter and key are the first that a `Score` can
    hold; others count as not said, since they are never heard. Raises ScoreError: no MIDI file or a
    broken one, no notes, more than MOST_NOTES or `most_together` at once, one that is not among
    `pitches` (percussion aside), or longer than `most_seconds`.
    """
    file = read_events(data)
    reading = _Reading(file, most_seconds, most_together, pitches)
    for event in file.events:
        reading.take(event)
    return reading.done()


Struck = tuple[int, int, int]
"""When a note was struck, how hard, and its program."""


@dataclass(slots=True)
class _Reading:
    """Where the reading of a file is. Times are whole numbers of a unit that fits every tempo, so
    that no change of tempo rounds them."""

    file: MidiEvents
    most_seconds: float
    most_together: int
    pitches: range
    unit: int = field(init=False)
    """How many units a second has."""
    tick_units: int = field(init=False)
    """How many of them a tick lasts."""
    tick: int = 0
    now: int = 0
    tempos: int = 0
    together: int = 0
    signs: dict[str, Any] = field(default_factory=dict)
    """The first tempo, meter and key that a score can hold."""
    programs: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    sounding: dict[tuple[int, int], dict[int, Struck]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By channel and pitch, then by track: two hands may have a key in turn on one channel."""
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.file.tick_seconds is not None:
            self.unit = self.file.tick_seconds.denominator
            self.tick_units = self.file.tick_seconds.numerator
        else:
            self.unit = 1_000_000 * (self.file.ticks_per_quarter or 1)
            self.tick_units = DEFAULT_BEAT

    def take(self, event: Event) -> None:
        tick, track, status, first, second = event
        if tick > self.tick:
            self._pass(tick)
        kind, channel = status >> 4, status & 15
        if kind == NOTE_ON and second:
            self._strike(track, channel, first, second)
        elif kind in (NOTE_ON, NOTE_OFF):
            self._release(track, channel, first)
        elif kind == PROGRAM:
            self.programs[channel] = first
        elif status == TEMPO:
            self._set_tempo(first)
        elif status == METER and second < 8 and is_meter(first, 2**second):
            self.signs.setdefault("meter", (first, 2**second))
        elif status == KEY and -7 <= first <= 7 and second in (0, 1):
            self.signs.setdefault("key", key_of(first, second))

    def _pass(self, tick: int) -> None:
        if not self.tick_units:
            raise ScoreError("the MIDI file has a tempo without end")
        self.now += (tick - self.tick) * self.tick_units
        self.tick = tick

    def _set_tempo(self, beat: int) -> None:
        self.tempos += 1
        if self.tempos > MOST_TEMPOS:
            raise ScoreError(f"the MIDI file changes its tempo more than {MOST_TEMPOS} times")
        if self.file.tick_seconds is None:
            self.tick_units = beat
        if beat and SLOWEST <= 60_000_000 / beat <= FASTEST:
            self.signs.setdefault("tempo", 60_000_000 / beat)

    def _strike(self, track: int, channel: int, pitch: int, velocity: int) -> None:
        """A key that is struck again ends its earlier note."""
        drums = channel == DRUM_CHANNEL
        if not drums and pitch not in self.pitches:
            low, high = self.pitches.start, self.pitches.stop - 1
            raise ScoreError(f"a note has the pitch {pitch}; {low} to {high} can be played")
        voices = self.sounding[channel, pitch]
        if track not in voices:
            self.together += 1
        elif voices[track][0] < self.now:  # else the earlier note was never heard
            self._end(pitch, voices[track])
        if self.together > self.most_together:
            raise ScoreError(f"more than {self.most_together} notes sound at once")
        program = DRUMS if drums else self.programs[channel]
        voices[track] = (self.now, velocity, program)

    def _release(self, track: int, channel: int, pitch: int) -> None:
        """The note of this track ends, else the oldest of another."""
        if voices := self.sounding[channel, pitch]:
            self.together -= 1
            self._end(pitch, voices.pop(track if track in voices else next(iter(voices))))

    def _end(self, pitch: int, struck: Struck) -> None:
        """A note lasts a tick at least."""
        onset, velocity, program = struck
        last = max(self.now, onset + (self.tick_units or 1)) / self.unit
        if last > self.most_seconds:
            raise ScoreError(f"the score is longer than {self.most_seconds:g} seconds")
        if len(self.notes) >= MOST_NOTES:
            raise ScoreError(f"the MIDI file has more than {MOST_NOTES} notes")
        self.notes.append(Note(onset / self.unit, last, pitch, velocity, program))

    def done(self) -> Score:
        for (_, pitch), voices in self.sounding.items():
            for struck in voices.values():  # never released: to the end of the file
                self._end(pitch, struck)
        if not self.notes:
            raise ScoreError("the MIDI file has no notes")
        if len({note.program for note in self.notes} - {DRUMS}) > len(CHANNELS):
            raise ScoreError(f"the MIDI file has more than {len(CHANNELS)} instruments")
        return Score(tuple(self.notes), **self.signs)


def key_of(sharps: int, mode: int) -> str:
    """The key with so many sharps, or flats below 0; mode 0 is major. (3, 1) is F# minor."""
    tonic = (7 * sharps + (9 if mode else 0)) % OCTAVE
    return f"{TONICS[tonic]} {'minor' if mode else 'major'}"
