"""The corpus as a WaveNet hears it: sound as mu-law classes with its notes, whole in memory.

A style is one small file in the cache, so that a machine can train which can't play the corpus.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from models.audio import mulaw
from models.music.piano_roll import Rolled
from models.score import Note, Score
from training.data.cache import DataMissing, cache_folder, save_arrays
from training.data.music.build import EDITION, STYLES
from training.data.music.corpus import Corpus, built_corpus
from training.data.music.rendering import RATE
from training.recipe import Data


@dataclass(frozen=True, slots=True, eq=False)
class StyleAudio:
    """All pieces of a style, end to end."""

    sound: NDArray[np.uint8]
    """Classes of samples, with the gain of the corpus."""
    sound_start: NDArray[np.int64]
    times: NDArray[np.float64]
    """Onset and end of each note in seconds, (N, 2)."""
    notes: NDArray[np.uint8]
    """Pitch, velocity and program, (N, 3)."""
    note_start: NDArray[np.int64]
    test: NDArray[np.bool_]

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], Score, bool]]:
        for number, test in enumerate(self.test):
            first, last = self.sound_start[number : number + 2]
            one = slice(*self.note_start[number : number + 2])
            rows = zip(self.times[one].tolist(), self.notes[one].tolist(), strict=True)
            notes = tuple(Note(*times, *row) for times, row in rows)
            yield self.sound[first:last], Score(notes), bool(test)


@dataclass(frozen=True, slots=True)
class Windows:
    """How pieces are cut for a net: windows of `frames` frames of `hop` samples, end to end."""

    frames: int
    hop: int
    rolled: Rolled

    def of(
        self, sound: NDArray[np.uint8], score: Score
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Classes (frames x hop,) and roll (frames, channels), 255 being 1. The last window ends
        with the piece and goes back into the one before; a shorter piece has none."""
        whole = len(sound) // self.hop
        roll = np.round(self.rolled.roll(score, RATE / self.hop, whole) * 255).astype(np.uint8)
        last = whole - self.frames
        for first in [*range(0, max(0, last), self.frames), last] if last >= 0 else []:
            end = first + self.frames
            yield sound[first * self.hop : end * self.hop], roll[first:end]


def load_heard(minutes: float, windows: Windows) -> Data:
    """Columns: sound (N, samples) and rolls (N, frames, channels) uint8, styles (N,) int64.

    From the cache, built first if it is not there. Raises DataMissing with what to install.
    """
    rows: dict[bool, list[tuple[NDArray[np.uint8], NDArray[np.uint8], int]]]
    rows = {False: [], True: []}
    for number, style in enumerate(STYLES):
        for sound, score, test in heard_of(style, minutes):
            rows[test] += [(*window, number) for window in windows.of(sound, score)]
    return Data(_columns(rows[False]), _columns(rows[True]), tuple(STYLES))


def _columns(
    rows: list[tuple[NDArray[np.uint8], NDArray[np.uint8], int]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    sounds, rolls, styles = zip(*rows, strict=True)
    sound, roll = (torch.from_numpy(np.stack(column)) for column in (sounds, rolls))
    return sound, roll, torch.tensor(styles)


def heard_of(style: str, minutes: float) -> StyleAudio:
    """From the cache, or made of the corpus and put there. Raises DataMissing."""
    path = cache_folder() / "heard" / f"{style}-{EDITION}-{minutes:g}.npz"
    if not path.exists():
        keep(path, render_audio(built_corpus(STYLES, minutes), style))
    try:
        with path.open("rb") as file, np.load(file) as table:
            return StyleAudio(**table)
    except (OSError, ValueError, TypeError, BadZipFile) as error:
        raise DataMissing(f"{path} is damaged, delete it: {error}") from None


def render_audio(corpus: Corpus, style: str) -> StyleAudio:
    recordings = list(corpus.recordings(style))
    notes = [note for one in recordings for note in one.notes]
    loud = (torch.from_numpy(one.sound) * corpus.gain for one in recordings)
    return StyleAudio(
        np.concatenate([mulaw.encode(sound).to(torch.uint8).numpy() for sound in loud]),
        np.cumsum([0, *(len(one.sound) for one in recordings)], dtype=np.int64),
        np.array([(n.onset, n.end) for n in notes], "f8").reshape(-1, 2),
        np.array([(n.pitch, n.velocity, n.program) for n in notes], "u1").reshape(-1, 3),
        np.cumsum([0, *(len(one.notes) for one in recordings)], dtype=np.int64),
        np.array([one.label.test for one in recordings], np.bool_),
    )


def keep(path: Path, heard: StyleAudio) -> None:
    save_arrays(path, {name: getattr(heard, name) for name in StyleAudio.__dataclass_fields__})
