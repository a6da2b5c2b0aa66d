"""A corpus of music for training: its pieces, cut into windows of equal length, or as scores."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.score import Score, trimmed
from training.data.cache import DataMissing
from training.data.music.build import MINUTES, STYLES, build_music
from training.data.music.rendering import RATE
from training.data.music.shards import CORPUS, Recording, read_shard, shards_of
from training.recipe import Data

Rolled = Callable[[Score, int], NDArray[np.float32]]
"""From a score and a number of frames to what conditions a net: (frames, channels) in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """A built folder; nothing of it is in memory."""

    folder: Path
    shards: Mapping[str, int]
    """By style, how many belong to it: a build that goes on may have added more, maybe louder."""
    gain: float
    """What stored sound is multiplied by, so that the loudest sample of all is 0.95."""

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(self.shards)

    def recordings(self, style: str) -> Iterator[Recording]:
        """Every piece of a style, as loud as it is stored."""
        for path in shards_of(self.folder / style)[: self.shards[style]]:
            yield from read_shard(path)

    def scores(self, test: bool) -> Iterator[tuple[str, Score]]:
        """Style and score of every piece that is held out, or of every other; in whole bars."""
        for style in self.styles:
            for one in self.recordings(style):
                if one.label.test == test and one.notes:
                    yield style, one.score


def built_corpus(styles: Iterable[str] = (), minutes: float = MINUTES) -> Corpus:
    """These of the composed styles, all if none is named, from the cache.

    Built first as far as there are not so many minutes of each; what is there of others is not
    read. Raises DataMissing with what to install.
    """
    wanted = tuple(styles) or tuple(STYLES)
    return open_corpus(build_music(minutes, wanted), wanted)


def open_corpus(folder: Path, styles: Iterable[str] = ()) -> Corpus:
    """That of a folder that was built, or these styles of it. Raises DataMissing."""
    if not (folder / CORPUS).exists():
        raise DataMissing(f"{folder} holds no corpus; `atelier data music` builds one")
    summary = json.loads((folder / CORPUS).read_text())
    shards = {style: one["shards"] for style, one in summary["styles"].items()}
    for style in (wanted := tuple(styles)):
        if style not in shards:
            raise DataMissing(f"{folder} has no {style}; there are {', '.join(shards)}")
    return Corpus(folder, {style: shards[style] for style in wanted or shards}, summary["gain"])


def load_windows(corpus: Corpus, seconds: float, rolled: Rolled, rate: int) -> Data:
    """Columns: sound (N, samples) int16, rolls (N, frames, channels) uint8 and styles (N,) int64.

    A window is so many seconds of one piece, with `rate` frames a second in its roll; what is left
    of a piece after its last whole window is not used. Sound has the corpus's gain; a roll is 255
    where `rolled` says 1.
    """
    rows: dict[bool, list[tuple[NDArray[np.int16], NDArray[np.uint8], int]]]
    rows = {False: [], True: []}
    frames = round(seconds * rate)
    for number, style in enumerate(corpus.styles):
        for one in corpus.recordings(style):
            for sound, score in windows(one, frames / rate):
                loud = np.round(sound * (corpus.gain * 32767)).astype(np.int16)
                roll = np.round(rolled(score, frames) * 255).astype(np.uint8)
                rows[one.label.test].append((loud, roll, number))
    if not (rows[False] and rows[True]):
        raise DataMissing(
            f"{corpus.folder} has too little music for windows of {seconds:g} seconds"
        )
    return Data(_columns(rows[False]), _columns(rows[True]), corpus.styles)


def windows(one: Recording, seconds: float) -> Iterator[tuple[NDArray[np.float32], Score]]:
    """Sound (samples,) and the notes in it, end to end."""
    samples = round(seconds * RATE)
    heard = Score(one.notes, one.label.tempo)
    for number in range(len(one.sound) // samples):
        first, last = number * seconds, (number + 1) * seconds
        yield one.sound[number * samples : (number + 1) * samples], trimmed(heard, first, last)


def _columns(
    rows: list[tuple[NDArray[np.int16], NDArray[np.uint8], int]],
) -> tuple[Tensor, Tensor, Tensor]:
    sounds, rolls, styles = zip(*rows, strict=True)
    stacked = (torch.from_numpy(np.stack(column)) for column in (sounds, rolls))
    return (*stacked, torch.tensor(styles))  # type: ignore[return-value]
