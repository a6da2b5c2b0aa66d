"""Scores as rolls: what sounds, and what is struck, in every frame of time. No torch."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from models.score import CLOSE, DRUMS, Note, Score, ScoreError

DRUM_GROUPS = {
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "tom": (41, 43, 45, 47, 48, 50),
    "closed hat": (42, 44),
    "open hat": (46,),
    "cymbal": (49, 51, 52, 53, 55, 57, 59),
}
"""Percussion keys that sound alike; a key of none of these belongs to one more group, the last."""
FADE, DRUM_FADE = 0.25, 0.1  # seconds in which what was struck is half as loud


@dataclass(frozen=True, slots=True)
class Rolled:
    """How a score is told to a net that plays it."""

    lowest: int
    highest: int

    def __post_init__(self) -> None:
        if not 0 <= self.lowest <= self.highest <= 127:
            raise ValueError(f"there are no pitches from {self.lowest} to {self.highest}")

    @property
    def channels(self) -> int:
        return 2 * len(self.pitches) + len(DRUM_GROUPS) + 1

    @property
    def pitches(self) -> range:
        return range(self.lowest, self.highest + 1)

    def roll(self, score: Score, rate: float, frames: int) -> NDArray[np.float32]:
        """(frames, channels) in [0, 1]: pitches that sound, pitches struck, percussion struck.

        What was struck fades from frame to frame: how long ago it was says how loud a string or a
        drum still is. Raises ScoreError for a pitch beyond the lowest or highest.
        """
        sounding, struck = piano_roll(score, rate, self.pitches, frames)
        drums = drum_roll(score, rate, frames)
        parts = (sounding, faded(struck, FADE * rate), faded(drums, DRUM_FADE * rate))
        return np.concatenate(parts, axis=1)


def faded(struck: NDArray[np.float32], half: float) -> NDArray[np.float32]:
    """Each frame is no less than the one before times 2^(-1 / half); a roll (frames, keys)."""
    result, keep = struck.copy(), np.float32(0.5 ** (1 / half))
    for before, now in pairwise(result):
        np.maximum(now, before * keep, out=now)
    return result


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
        key, loudness = note.pitch - pitches.start, np.float32(note.velocity / 127)
        first, last = _touched(note, rate)
        for kind, until in ((0, last), (1, first + 1)):
            cells = roll[kind, first:until, key]
            np.maximum(cells, loudness, out=cells)
    return roll


def drum_roll(score: Score, rate: float, frames: int | None = None) -> NDArray[np.float32]:
    """Percussion, (frames, 7): what of each of DRUM_GROUPS, or of no group, is struck in a frame.

    By velocity / 127, and otherwise as in `piano_roll`.
    """
    roll = np.zeros(
        (_frames(score, rate) if frames is None else frames, len(DRUM_GROUPS) + 1), "f4"
    )
    groups = {key: group for group, keys in enumerate(DRUM_GROUPS.values()) for key in keys}
    for note in score.notes:
        if note.program == DRUMS:
            first, _ = _touched(note, rate)
            cells = roll[first : first + 1, groups.get(note.pitch, len(DRUM_GROUPS))]
            np.maximum(cells, np.float32(note.velocity / 127), out=cells)
    return roll


def _frames(score: Score, rate: float) -> int:
    return ceil(score.seconds * rate - CLOSE)


def _touched(note: Note, rate: float) -> tuple[int, int]:
    """The first frame, and the one after the last."""
    first = floor(note.onset * rate + CLOSE)
    return first, max(first + 1, ceil(note.end * rate - CLOSE))
