"""A score: notes in seconds, as a composer writes them and an instrument plays them. No numpy.

1. Notes are in order, and a key of an instrument that is struck again ends what it sounded before:
   `Score` sees to both, so that writing one as MIDI and reading it back gives it again.
2. Percussion is a program of its own, DRUMS, whose pitches are General MIDI's percussion keys.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import isfinite
from operator import attrgetter

DRUMS = 128
"""The program of percussion; 0 to 127 are General MIDI's instruments."""
TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS)
SLOWEST, FASTEST = 5, 1000  # quarter notes a minute
OCTAVE = 12  # semitones
CLOSE = 1e-6  # of a frame: times that are whole frames may be off by a rounding


ORDER = attrgetter("onset", "end", "pitch", "velocity", "program")
"""As notes compare; much faster in sorting than they are."""


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
        if not SLOWEST <= self.tempo <= FASTEST:
            raise ScoreError(f"a tempo of {self.tempo:g} quarter notes a minute")
        over, under = self.meter
        if not is_meter(over, under):
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


def is_meter(over: int, under: int) -> bool:
    """Whether a score can have the meter over/under."""
    return 1 <= over <= 64 and under in (1, 2, 4, 8, 16, 32, 64)


def tidied(notes: Iterable[Note]) -> tuple[Note, ...]:
    """In order of time; a key struck again ends the note before, and of two struck at the same
    time the longer stays."""
    kept: dict[tuple[int, int], list[Note]] = {}
    for note in sorted(notes, key=ORDER):
        same = kept.setdefault((note.program, note.pitch), [])
        if same and same[-1].onset == note.onset:
            same[-1] = max(same[-1], note)
            continue
        if same and same[-1].end > note.onset:
            same[-1] = replace(same[-1], end=note.onset)
        same.append(note)
    return tuple(sorted((note for same in kept.values() for note in same), key=ORDER))


def moved(score: Score, seconds: float) -> Score:
    """The same notes so much later, or earlier if it is negative."""
    notes = (replace(n, onset=n.onset + seconds, end=n.end + seconds) for n in score.notes)
    return replace(score, notes=tuple(notes))


def trimmed(score: Score, start: float, end: float) -> Score:
    """What sounds from `start` to `end` (seconds), from 0 on. Notes that sounded before begin at 0,
    those that would sound after stop at its end."""
    notes = (
        replace(n, onset=max(n.onset, start) - start, end=min(n.end, end) - start)
        for n in score.notes
        if n.onset < end - CLOSE and n.end > start + CLOSE
    )
    return replace(score, notes=tuple(notes))


def within(score: Score, pitches: range) -> Score:
    """The same with notes that are not among `pitches` (of step 1, an octave at least) moved into
    them by octaves; percussion stays."""
    low, high = pitches.start, pitches.stop - 1

    def moved_in(note: Note) -> Note:
        if note.program == DRUMS or note.pitch in pitches:
            return note
        if note.pitch < low:
            return replace(note, pitch=low + (note.pitch - low) % OCTAVE)
        return replace(note, pitch=high - (high - note.pitch) % OCTAVE)

    return replace(score, notes=tuple(map(moved_in, score.notes)))
