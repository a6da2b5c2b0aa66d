"""Scores as small pictures to look at: time to the right, pitches upwards, percussion below."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.music.piano_roll import DRUM_GROUPS, drum_roll, piano_roll
from models.score import DRUMS, Score, trimmed

SIDE = 64
DRUM_ROWS = len(DRUM_GROUPS) + 1
PITCHES = range(36, 36 + SIDE - DRUM_ROWS)  # others are not shown


def roll_pictures(scores: Sequence[Score], seconds: float) -> Tensor:
    """Returns the first seconds of each score, (N, 1, 64, 64) in [0, 1]; onsets are bright."""
    return torch.stack([_picture(trimmed(score, 0, seconds), SIDE / seconds) for score in scores])


def whole_picture(score: Score, seconds: float, height: int, width: int) -> Tensor:
    """(height, width) in [0, 1], with as many pitches as there is room for."""
    lowest = PITCHES.start
    return _drawn(score, width / seconds, range(lowest, lowest + height - DRUM_ROWS), width)


def _picture(score: Score, rate: float) -> Tensor:
    return _drawn(score, rate, PITCHES, SIDE)[None]


def _drawn(score: Score, rate: float, pitches: range, frames: int) -> Tensor:
    seen = [n for n in score.notes if n.program == DRUMS or n.pitch in pitches]
    shown = Score(tuple(seen))
    sounding, struck = piano_roll(shown, rate, pitches, frames)
    drums = drum_roll(shown, rate, frames)
    rows = np.concatenate([drums, 0.5 * sounding + 0.5 * struck], 1).T  # from below upwards
    return torch.from_numpy(rows[::-1].copy()).float()
