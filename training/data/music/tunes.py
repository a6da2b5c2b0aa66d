"""Bach's chorales and the fiddle tunes of Ryan's Mammoth Collection (1883), from music21's corpus.

How fast they go and how hard a note is struck is not in the sources: the first follows from a
piece's name, the second from its place in the bar.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from models.score import TONICS, Note, Score
from training.data.cache import DataMissing

CHURCH_ORGAN, FLUTE = 19, 73
CHORALE_PACE = (66, 96)
PACES = {  # quarter notes a minute, by the meter of a tune: reels, polkas, marches, jigs, waltzes
    (2, 2): (130, 170),
    (2, 4): (80, 104),
    (4, 4): (104, 144),
    (6, 8): (130, 166),
    (9, 8): (130, 160),
    (3, 4): (100, 132),
}
MAJOR = ("major", "ionian", "lydian", "mixolydian")
KIN = 12  # intervals of a melody's beginning that two versions of a tune share


class UnreadableTune(DataMissing):
    """A piece that can't be used; others can."""


@dataclass(frozen=True, slots=True)
class Tune:
    """A score; pieces of one `kin` are versions of one tune, and held out together."""

    name: str
    kin: str
    score: Score


def chorales() -> list[str]:
    """The names of 371 chorales, shuffled, in the same order each time."""
    paths = _corpus().chorales.Iterator(returnType="filename")
    return shuffled({str(name).rpartition("/")[2].removesuffix(".mxl") for name in paths})


def chorale(name: str) -> Tune:
    """For church organ. Raises Unreadable."""
    return _piece(name, f"bach/{name}", CHURCH_ORGAN, CHORALE_PACE)


def fiddle_tunes() -> list[str]:
    """The names of 1,059 tunes, shuffled, in the same order each time."""
    return shuffled({Path(path).stem for path in _corpus().getComposer("ryansMammoth")})


def fiddle_tune(name: str) -> Tune:
    """For flute, at the pace of its dance. Raises Unreadable."""
    return _piece(name, f"ryansMammoth/{name}", FLUTE, None)


def shuffled(names: set[str]) -> list[str]:
    """By their hashes: whatever order they come in, and whatever else there is."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def melody_of(score: Score) -> str:
    """How its highest line begins, whatever key it is in: "2,-2,5"."""
    top: dict[float, int] = {}
    for note in score.notes:
        top[note.onset] = max(top.get(note.onset, 0), note.pitch)
    line = [pitch for _, pitch in sorted(top.items())][: KIN + 1]
    return ",".join(str(after - before) for before, after in pairwise(line))


def _corpus() -> Any:
    try:
        from music21 import corpus
    except ModuleNotFoundError:
        raise DataMissing(
            "music21 is not installed: pip install 'atelier-service[train]'"
        ) from None
    return corpus


def _piece(name: str, path: str, program: int, pace: tuple[int, int] | None) -> Tune:
    corpus = _corpus()
    try:
        score = _score(name, corpus.parse(path), program, pace)
    except Exception as error:  # whatever music21 comes upon in old and hand-made files
        raise UnreadableTune(f"{name} can't be read: {error or type(error).__name__}") from None
    if not score.notes:
        raise UnreadableTune(f"{name} has no notes")
    return Tune(name, melody_of(score), score)


def _score(name: str, parsed: Any, program: int, pace: tuple[int, int] | None) -> Score:
    """`parsed` is a music21 score. Bars begin with the first: an upbeat has rests before it."""
    first = parsed.parts[0]
    meter = first.recurse().getElementsByClass("TimeSignature")[0]
    over_under = (int(meter.numerator), int(meter.denominator))
    slowest, fastest = pace or PACES.get(over_under, (100, 130))
    tempo = random.Random(name).randint(slowest, fastest)
    bar = first.getElementsByClass("Measure")[0]
    upbeat = max(0.0, float(bar.barDuration.quarterLength) - float(bar.highestTime))
    quarter, full = 60 / tempo, 4 * over_under[0] / over_under[1]
    notes = []
    for onset, length, pitch in _notes(parsed):
        start = (onset + upbeat) * quarter
        stress = _stress((onset + upbeat) % full)
        notes.append(Note(start, start + length * quarter, pitch, stress, program))
    return Score(tuple(notes), tempo, over_under, _key(parsed))


def _notes(parsed: Any) -> Iterator[tuple[float, float, int]]:
    """Onset and length in quarter notes, and pitch; grace notes, without length, are left out."""
    for voice in parsed.parts:
        for note in voice.stripTies().flatten().notes:
            length = float(note.duration.quarterLength)
            if length > 0 and "ChordSymbol" not in note.classes:
                for pitch in note.pitches:
                    yield float(note.offset), length, int(pitch.midi)


def _stress(beat: float) -> int:
    """The velocity at a place in its bar, in quarter notes."""
    if beat < 0.01:
        return 95
    return 87 if abs(beat - round(beat)) < 0.01 else 79


def _key(parsed: Any) -> str:
    """The key that the source names, else the one its pitches speak for (Krumhansl 1990)."""
    named = parsed.recurse().getElementsByClass("Key")
    key = named[0] if len(named) else parsed.analyze("key")
    return f"{TONICS[key.tonic.pitchClass]} {'major' if key.mode in MAJOR else 'minor'}"
