"""What a token costs whoever counts alone: floors for a model of sequences."""

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.integer]
"""Sequences (N, T) filled up with PAD."""

PAD = 0
SURE = 5.0  # counts of a pair that weigh as much as how frequent its second token is


def unigram(train: Tokens, size: int) -> NDArray[np.float64]:
    """How frequent each token is, (size,); every one was seen once more than it was."""
    count = np.bincount(train[train != PAD], minlength=size) + 1.0
    count[PAD] = 0
    share: NDArray[np.float64] = count / count.sum()
    return share


def unigram_bits(train: Tokens, test: Tokens, size: int, skip: int) -> float:
    """Bits a token of what is tested, the first `skip` of each sequence aside."""
    wanted = test[:, skip:]
    share = unigram(train, size)
    return float(-np.log2(share[wanted[wanted != PAD]]).mean())


def bigram_bits(train: Tokens, test: Tokens, size: int, skip: int) -> float:
    """Returns bits a token by counts of pairs, smoothed (Jelinek and Mercer 1980)."""
    share = unigram(train, size)
    before, after = train[:, :-1].ravel().astype(np.int64), train[:, 1:].ravel()
    real = after != PAD
    pairs = np.bincount(before[real] * size + after[real], minlength=size * size)
    table = pairs.reshape(size, size)
    previous, target = test[:, skip - 1 : -1], test[:, skip:]
    one, other = previous[target != PAD], target[target != PAD]
    chance = (table[one, other] + SURE * share[other]) / (table.sum(1)[one] + SURE)
    return float(-np.log2(chance).mean())
