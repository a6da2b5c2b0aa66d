"""How much of a piece stands in others note by note, in whatever key: the longest run they share.

A run is of pitched notes, each by how long after the one before it begins, by its interval from
it, and by its length; percussion is left out, which a groove repeats anyhow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.music.tokenizer import DEFAULTS, METERS, STEPS, MusicTokens

Runs = NDArray[np.uint64]
"""A number for each note after the first, the same where the notes are the same."""

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64


@dataclass(slots=True)
class CopyIndex:
    """Pieces that others may have copied from, by the hashes of their runs."""

    notes: Runs
    """Of all pieces, with a number of its own between two."""
    lengths: dict[int, Runs] = field(default_factory=dict)
    """The hashes of all runs of a length, sorted; made when they are asked for."""

    @classmethod
    def of(cls, pieces: Iterable[Runs]) -> "CopyIndex":
        rng = np.random.default_rng(0)
        between = (rng.integers(2**63, size=1, dtype=np.uint64) for _ in iter(int, 1))
        return cls(np.concatenate([p for piece in pieces for p in (piece, next(between))]))

    def longest(self, piece: Runs) -> int:
        """How many notes the longest run has that stands here as well, the one before its first
        counted; 0 if there is none of two."""
        low, high = 0, len(piece)
        while low < high:
            middle = (low + high + 1) // 2
            if self._has(hashes(piece, middle), middle):
                low = middle
            else:
                high = middle - 1
        return low + 1 if low else 0

    def _has(self, runs: Runs, length: int) -> bool:
        if length not in self.lengths:
            self.lengths[length] = np.unique(hashes(self.notes, length))
        known = self.lengths[length]
        index = np.searchsorted(known, runs).clip(max=len(known) - 1)
        return bool((known[index] == runs).any()) if len(known) else False


def hashes(notes: Runs, length: int) -> Runs:
    """Returns the hash of every run of `length` notes (Karp and Rabin 1987)."""
    if len(notes) < length:
        return np.empty(0, np.uint64)
    powers = np.multiply.accumulate(np.full(len(notes), BASE))
    back = np.multiply.accumulate(np.full(len(notes), np.uint64(pow(int(BASE), -1, 2**64))))
    sums = np.concatenate([np.zeros(1, np.uint64), np.add.accumulate(notes * powers)])
    runs: Runs = (sums[length:] - sums[:-length]) * back[: len(notes) - length + 1]
    return runs


def runs_of(tokenizer: MusicTokens, tokens: NDArray[np.integer]) -> Runs:
    """A piece's pitched notes after the first, each as one number."""
    first = np.array(list(tokenizer.first.values()))
    kind = np.searchsorted(first, tokens, side="right") - 1
    value = tokens.astype(np.int64) - first[kind]
    names = list(tokenizer.first)
    over, under = METERS[int(value[names.index("meter") == kind][0])]
    bars = np.cumsum(kind == names.index("bar"))
    start = (bars - 1) * (STEPS * 4 * over // under)
    step = start + _held_values(kind == names.index("position"), value, bars, 0)
    length = _held_values(kind == names.index("duration"), value, bars, DEFAULTS["duration"])
    note = kind == names.index("pitch")
    table = np.stack([np.diff(step[note]), np.diff(value[note]), length[note][1:]])
    mixed = (table + 512).astype(np.uint64) * np.array([[1], [1 << 16], [1 << 32]], np.uint64)
    number: Runs = mixed.sum(0, dtype=np.uint64) * BASE
    return number ^ (number >> np.uint64(29))


def _held_values(
    mask: NDArray[np.bool_], value: NDArray[np.int64], bars: NDArray[np.int64], default: int
) -> NDArray[np.int64]:
    """At each token the last value given in its bar."""
    index = np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))
    known = (index >= 0) & (bars[index] == bars)
    return np.where(known, value[index], default)
