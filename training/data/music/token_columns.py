"""Pieces by style as tokens, for a composer to learn from: the corpus's sources, without sound.

A style is one small file in the cache, so that a machine can train which has neither music21 nor
MMA. Pieces come in the order in which the corpus plays them, and the same are held out.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.music.tokenizer import MusicTokens
from models.score import ScoreError
from training.data.cache import DataMissing, cache_folder, save_arrays
from training.data.images.emoji import held_out
from training.data.music import tunes
from training.data.music.build import STYLES
from training.loop.log_lines import now_and_then

log = logging.getLogger("atelier.training")

EDITION = 1  # of how pieces are made; another one is made anew
MOST = {"jazz": 2000, "electronic": 1000}
"""Pieces of the styles that have no end: some three million tokens of each."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenColumns:
    """Tokens of a style's pieces, the prefix first; its `style` is the number in `STYLES`."""

    tokens: NDArray[np.uint16]
    """All end to end."""
    starts: NDArray[np.int64]
    """Where each begins, and where the last ends."""
    test: NDArray[np.bool_]

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint16], bool]]:
        for number, test in enumerate(self.test):
            yield self.tokens[self.starts[number] : self.starts[number + 1]], bool(test)


def vocabulary() -> MusicTokens:
    return MusicTokens(tuple(STYLES))


def pieces_of(style: str) -> TokenColumns:
    """From the cache, or composed and put there. Raises DataMissing with what to install."""
    path = cache_folder() / "pieces" / f"{style}-{EDITION}.npz"
    if not path.exists():
        columns = composed(style)
        arrays = {"tokens": columns.tokens, "starts": columns.starts, "test": columns.test}
        save_arrays(path, arrays)
    try:
        with path.open("rb") as file, np.load(file) as table:
            return TokenColumns(table["tokens"], table["starts"], table["test"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataMissing(f"{path} is damaged, delete it: {error}") from None


def composed(style: str, most: int | None = None) -> TokenColumns:
    """A style's pieces, or so many first ones, but for those that can't be read or said in
    tokens."""
    kept: list[list[int]] = []
    test: list[bool] = []
    tokenizer, tell = vocabulary(), now_and_then()
    names = STYLES[style].names()[: most or MOST.get(style)]
    for number, name in enumerate(names, 1):
        try:
            piece = STYLES[style].compose(name)
            kept.append(tokenizer.encode(piece.score, style))
            test.append(held_out(piece.kin))
        except (tunes.UnreadableTune, ScoreError) as error:
            log.warning("left out: %s: %s", name, error)
        tell(f"{style}: {number} of {len(names)} pieces", number == len(names))
    tokens = [token for one in kept for token in one]
    starts = np.cumsum([0, *map(len, kept)], dtype=np.int64)
    return TokenColumns(np.array(tokens, np.uint16), starts, np.array(test, np.bool_))
