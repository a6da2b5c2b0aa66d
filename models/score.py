"""A score: notes in seconds, as a composer writes them and an instrument plays them. No torch.

1. Notes are in order, and a key of an instrument that is struck again ends what it sounded before:
   `Score` sees to both, so that writing one as MIDI and reading it back gives it again.
2. Percussion is a program of its own, DRUMS, whose pitches are General MIDI's percussion keys.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import ceil, floor, isfinite

import numpy as np
from numpy.typing import NDArray

DRUMS = 128
"""The program of percussion; 0 to 127 are General MIDI's instruments."""
TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS)
DRUM_GROUPS = {
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "tom": (41, 43, 45, 47, 48, 50),
    "closed hat": (42, 44),
    "open hat": (46,),
    "cymbal": (49, 51, 52, 53, 55, 57, 59),
}
"""Percussion keys that sound alike; a key of none of these belongs to one more group, the last."""
CLOSE = 1e-6  # of a frame: times that are whole frames may be off by a rounding


class ScoreError(ValueError):
    """What is wrong with a score, in words for whoever sent it."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One note. Raises ScoreError for values out of range."""

    onset: float
    """Seconds from the beginning, 0 or more."""
    end: float
    """Seconds, later than the onset."""
    pitch: int
    """0 to 127; 60 is middle C."""
    velocity: int = 80
    """How hard it is struck: 1 to 127."""
    program: int = 0
    """0 to 127, or DRUMS."""

    def __post_init__(self) -> None:
        if not (0 <= self.onset < self.end and isfinite(self.end)):
            raise ScoreError(f"a note can't last from {self.onset} to {self.end} seconds")
        if not 0 <= self.pitch <= 127:
            raise ScoreError(f"a note has the pitch {self.pitch}; pitches are 0 to 127")
        if not 1 <= self.velocity <= 127:
            raise ScoreError(f"a note has the velocity {self.velocity}; velocities are 1 to 127")
        if not 0 <= self.program <= DRUMS:
            raise ScoreError(f"a note has the program {self.program}; programs are 0 to {DRUMS}")


@dataclass(frozen=True, slots=True)
class Score:
    """Notes with what is known of their measure. Raises ScoreError."""

    notes: tuple[Note, ...]
    tempo: float = 120.0
    """Quarter notes a minute; the first bar begins at 0 seconds."""
    meter: tuple[int, int] = (4, 4)
    """Of a time signature, such as (6, 8)."""
    key: str | None = None
    """One of KEYS, or not known."""
    seconds: float = field(init=False, compare=False)
    """When the last note ends; 0 without notes."""

    def __post_init__(self) -> None:
        if not 5 <= self.tempo <= 1000:
            raise ScoreError(f"a tempo of {self.tempo:g} quarter notes a minute")
        over, under = self.meter
        if not (1 <= over <= 64 and under in (1, 2, 4, 8, 16, 32, 64)):
            raise ScoreError(f"a meter of {over}/{under}")
        if self.key is not None and self.key not in KEYS:
            raise ScoreError(f"no key {self.key!r}; there are {', '.join(KEYS)}")
        notes = tidied(self.notes)
        object.__setattr__(self, "notes", notes)
        object.__setattr__(self, "seconds", max((note.end for note in notes), default=0.0))

    @property
    def quarters(self) -> float:
        """How many quarter notes a bar has."""
        return 4 * self.meter[0] / self.meter[1]


def tidied(notes: Iterable[Note]) -> tuple[Note, ...]:
    """In order of time; a key struck again ends the note before, and of two struck at the same
    time the longer stays."""
    kept: dict[tuple[int, int], list[Note]] = {}
    for note in sorted(notes):
        same = kept.setdefault((note.program, note.pitch), [])
        if same and same[-1].onset == note.onset:
            same[-1] = max(same[-1], note)
            continue
        if same and same[-1].end > note.onset:
            same[-1] = replace(same[-1], end=note.onset)
        same.append(note)
    return tuple(sorted(note for same in kept.values() for note in same))


def moved(score: Score, seconds: float) -> Score:
    """The same notes so much later, or earlier if it is negative."""
    notes = (replace(n, onset=n.onset + seconds, end=n.end + seconds) for n in score.notes)
    return replace(score, notes=tuple(notes))


def part(score: Score, start: float, end: float) -> Score:
    """What sounds from `start` to `end` (seconds), from 0 on. Notes that sounded before begin at 0,
    those that would sound after stop at its end."""
    notes = (
        replace(n, onset=max(n.onset, start) - start, end=min(n.end, end) - start)
        for n in score.notes
        if n.onset < end - CLOSE and n.end > start + CLOSE
    )
    return replace(score, notes=tuple(notes))


def piano_roll(
    score: Score, rate: float, pitches: range = range(128), frames: int | None = None
) -> NDArray[np.float32]:
    """All but percussion, (2, frames, len(pitches)): what sounds, and what is struck.

    Frame f is from f / rate to (f + 1) / rate seconds. A note is in every frame that it touches,
    and struck in its first, by velocity / 127; of two instruments on one pitch the louder counts.
    `frames` None is as many as the score needs; what is later is left out. Raises ScoreError for a
    note that is not among `pitches` (of step 1).
    """
    roll = np.zeros((2, _frames(score, rate) if frames is None else frames, len(pitches)), "f4")
    for note in score.notes:
        if note.program == DRUMS:
            continue
        if note.pitch not in pitches:
            raise ScoreError(
                f"a note has the pitch {note.pitch}; {pitches.start} to {pitches.stop - 1} go"
            )
        place, loudness = note.pitch - pitches.start, np.float32(note.velocity / 127)
        first, last = _touched(note, rate)
        for kind, until in ((0, last), (1, first + 1)):
            cells = roll[kind, first:until, place]
            np.maximum(cells, loudness, out=cells)
    return roll


def drum_roll(score: Score, rate: float, frames: int | None = None) -> NDArray[np.float32]:
    """Percussion, (frames, 7): what of each of DRUM_GROUPS, or of no group, is struck in a frame.

    By velocity / 127, and otherwise as in `piano_roll`.
    """
    roll = np.zeros(
        (_frames(score, rate) if frames is None else frames, len(DRUM_GROUPS) + 1), "f4"
    )
    places = {key: place for place, keys in enumerate(DRUM_GROUPS.values()) for key in keys}
    for note in score.notes:
        if note.program == DRUMS:
            first, _ = _touched(note, rate)
            cells = roll[first : first + 1, places.get(note.pitch, len(DRUM_GROUPS))]
            np.maximum(cells, np.float32(note.velocity / 127), out=cells)
    return roll


def _frames(score: Score, rate: float) -> int:
    return ceil(score.seconds * rate - CLOSE)


def _touched(note: Note, rate: float) -> tuple[int, int]:
    """The first frame, and the one after the last."""
    first = floor(note.onset * rate + CLOSE)
    return first, max(first + 1, ceil(note.end * rate - CLOSE))
