"""Music in small for the tests: a tone of a sine where a synthesiser would play."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.music.midi import write_midi
from models.score import Note, Score
from training.data.music.rendering import RATE
from training.data.music.shards import Label, Recording

SCALE = Score(tuple(Note(i * 0.4, i * 0.4 + 0.3, 60 + i) for i in range(8)), 150, key="C major")


def tone(seconds: float, hertz: float = 440, level: float = 0.5) -> NDArray[np.float32]:
    times = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def hummed(name: str, seconds: float = 6.0) -> Recording:
    """A recording with two notes; its loudness follows from the number its name ends with."""
    level = 0.1 + 0.1 * (int(name[-1]) % 3)
    notes = (Note(0.1, 1, 60, 90, 19), Note(1, seconds - 0.5, 67, 70))
    label = Label(name, int(name[-1]) % 4 == 1, 90, (3, 4), "A minor", 0.25)
    return Recording(label, tone(seconds, level=level), notes)


def write_scale(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_midi(SCALE))
    return path
