"""Small pictures of what can't be seen: sound as its wave, a score as its notes.

Pixels are (1, 64, 128) in [0, 1], black on white.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.artifacts import Audio
from models.music.piano_roll import drum_roll, piano_roll
from models.score import DRUMS, Score

WIDTH, HEIGHT = 128, 64
MARGIN = 2  # pitches above the highest note and below the lowest
FAINTEST = 0.4  # how black the softest note is


def drawn_wave(audio: Audio) -> Tensor:
    """From the left to the right, in each column all that the sound goes through; full scale is as
    high as the picture."""
    samples = audio.samples.mean(0).cpu().numpy()
    edges = np.linspace(0, len(samples), WIDTH + 1).astype(int)
    ink = np.zeros((HEIGHT, WIDTH), np.float32)
    for column in range(WIDTH):
        column_samples = samples[edges[column] : max(edges[column + 1], edges[column] + 1)]
        top, bottom = (
            (1 - level) / 2 * (HEIGHT - 1) for level in (column_samples.max(), column_samples.min())
        )
        ink[round(top) : round(bottom) + 1, column] = 1
    return _on_white(ink)


def drawn_score(score: Score) -> Tensor:
    """Time to the right and pitch upwards, as far as it goes; percussion along the bottom."""
    rate = (WIDTH - 0.5) / score.seconds if score.seconds else 1.0  # the last frame is within
    pitched = [note.pitch for note in score.notes if note.program != DRUMS]
    sounding = piano_roll(score, rate, frames=WIDTH)[0].T  # (pitch, frame)
    drums = drum_roll(score, rate, frames=WIDTH).T
    low, high = (min(pitched), max(pitched)) if pitched else (60, 60)
    shown = sounding[max(0, low - MARGIN) : high + MARGIN + 1]
    strip = len(drums) if drums.any() else 0
    ink = np.zeros((HEIGHT, WIDTH), np.float32)
    rows = np.linspace(0, len(shown), HEIGHT - strip, endpoint=False).astype(int)
    ink[: HEIGHT - strip] = _inked(shown)[rows][::-1]
    if strip:
        ink[HEIGHT - strip :] = _inked(drums)
    return _on_white(ink)


def _inked(roll: NDArray[np.float32]) -> NDArray[np.float32]:
    """Louder is blacker."""
    return np.where(roll > 0, FAINTEST + (1 - FAINTEST) * roll, 0).astype(np.float32)


def _on_white(ink: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(1 - ink)[None]
