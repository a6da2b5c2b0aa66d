"""Scores as small pictures to look at: time to the right, pitches upwards, percussion below."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.artifacts import Artifact
from models.rolls import drum_roll, piano_roll
from models.score import DRUMS, Score, part

SIDE = 64
PITCHES = range(36, 93)  # as many rows as percussion leaves; others are not shown


def roll_pictures(made: Sequence[Artifact], seconds: float) -> Tensor:
    """(N, 1, 64, 64) in [0, 1]: so many seconds of each; what is struck is bright."""
    scores = [artifact for artifact in made if isinstance(artifact, Score)]
    return torch.stack([_picture(part(score, 0, seconds), SIDE / seconds) for score in scores])


def _picture(score: Score, rate: float) -> Tensor:
    seen = [n for n in score.notes if n.program == DRUMS or n.pitch in PITCHES]
    shown = Score(tuple(seen))
    sounding, struck = piano_roll(shown, rate, PITCHES, SIDE)
    drums = drum_roll(shown, rate, SIDE)
    rows = np.concatenate([drums, 0.5 * sounding + 0.5 * struck], 1).T  # from below upwards
    return torch.from_numpy(rows[::-1].copy())[None].float()
