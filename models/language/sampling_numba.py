"""Draws of tokens as machine code: what `token_draws.drawn` does, a hundred times as fast.

What may be drawn is decided by how likely a token must be at least. Tokens are counted in narrow
bins of likelihood, so that only those of one bin have to be sorted to find it.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.kernels.simd import Floats, compiled, exp
from models.language.sampling import SamplingParams

BINS, A_NAT = 1024, 16  # bins in all, and in a nat: the last one has whatever is left
ZERO, ONE, INFINITE = np.float32(0), np.float32(1), np.float32(np.inf)
FAINTEST = np.float32(-87)  # nats: less likely is never


class SamplingScratch(NamedTuple):
    """Where one row is worked out."""

    nats: Floats  # (V,), less likely than the likeliest, 0 and less
    chances: Floats  # (V,), the likeliest's being 1
    masses: NDArray[np.float64]  # (BINS,)
    counts: NDArray[np.int64]  # (BINS,)
    some: Floats  # (V,), those of one bin


class TokenKernel:
    """Draws tokens of a vocabulary, one at a time."""

    def __init__(self, vocabulary: int) -> None:
        nats, chances, some = (np.zeros(vocabulary, np.float32) for _ in range(3))
        self._scratch = SamplingScratch(
            nats, chances, np.zeros(BINS), np.zeros(BINS, np.int64), some
        )

    def drawn(self, logits: Tensor, seen: Tensor, turned: SamplingParams) -> tuple[Tensor, Tensor]:
        """As `token_draws.drawn`, on the CPU."""
        number = _drawn(self._scratch, logits.numpy(), seen.numpy(), np.array(turned, np.float32))
        return torch.tensor(max(number, 0)), torch.tensor(number >= 0)


@compiled
def _drawn(scratch: SamplingScratch, logits: Floats, seen: Any, turned: Floats) -> int:
    """The number of a token; -1 where there is none."""
    penalty, temperature, top_k, top_p, min_p, _, uniform = turned
    likeliest = _penalised(scratch, logits, seen, penalty)
    if likeliest < 0 or temperature == ZERO:
        return likeliest
    asked = temperature > ZERO and uniform == uniform  # noqa: PLR0124 - what is no number is not
    if not (asked and scratch.nats[likeliest] > -INFINITE):
        return -1
    _soften(scratch, scratch.nats[likeliest], ONE / temperature)
    least = _least(scratch, top_k, top_p, min_p)
    total = 0.0
    for chance in scratch.chances:
        total += np.float64(chance) if chance >= least else 0.0
    if not total > 0:
        return -1
    goal, passed, last = uniform * total, 0.0, 0
    for i in range(len(logits)):
        chance = scratch.chances[i]
        if chance > ZERO and chance >= least:
            passed, last = passed + chance, i
            if passed > goal:
                break
    return last


@compiled
def _penalised(scratch: SamplingScratch, logits: Floats, seen: Any, penalty: Any) -> int:
    """Logits, less for what was seen before; the first of the largest, -1 if one is no number."""
    sound, most, likeliest = True, -INFINITE, 0
    for i in range(len(logits)):
        x = logits[i]
        if seen[i]:
            x = x / penalty if x > ZERO else x * penalty
        sound &= x < INFINITE
        scratch.nats[i] = x
        if x > most:
            most, likeliest = x, i
    return likeliest if sound else -1


@compiled
def _soften(scratch: SamplingScratch, most: Any, scale: Any) -> None:
    for i in range(len(scratch.nats)):
        nats = (scratch.nats[i] - most) * scale
        scratch.nats[i] = nats
        scratch.chances[i] = exp(nats) if nats > FAINTEST else ZERO


@compiled
def _least(scratch: SamplingScratch, top_k: Any, top_p: Any, min_p: Any) -> Any:
    """How likely a token must be at least."""
    least, everything = min_p, top_k < 1 and top_p >= ONE
    if everything:
        return least
    _fill_bins(scratch)
    count = len(scratch.nats)
    kth = _kth(scratch, count if top_k >= count else int(top_k)) if top_k >= 1 else ZERO
    if top_p < ONE:
        kth = max(kth, _nucleus(scratch, kth, np.float64(top_p)))
    return max(least, kth)


@compiled
def _fill_bins(scratch: SamplingScratch) -> None:
    scratch.masses[:] = 0
    scratch.counts[:] = 0
    for i in range(len(scratch.nats)):
        if scratch.chances[i] > ZERO:
            number = _bin(scratch.nats[i])
            scratch.masses[number] += scratch.chances[i]
            scratch.counts[number] += 1


@compiled
def _bin(nats: Any) -> int:
    return min(int(-nats * A_NAT), BINS - 1)


@compiled
def _sorted_bin(scratch: SamplingScratch, number: int) -> Floats:
    """The chances of one bin's tokens, the least first."""
    count = 0
    for i in range(len(scratch.nats)):
        if scratch.chances[i] > ZERO and _bin(scratch.nats[i]) == number:
            scratch.some[count] = scratch.chances[i]
            count += 1
    chances = scratch.some[:count]
    chances.sort()
    return chances


@compiled
def _kth(scratch: SamplingScratch, k: int) -> Any:
    """The k-th largest chance; 0 if there are fewer."""
    passed = 0
    for number in range(BINS):
        if passed + scratch.counts[number] >= k:
            chances = _sorted_bin(scratch, number)
            return chances[len(chances) - (k - passed)]
        passed += scratch.counts[number]
    return ZERO


@compiled
def _nucleus(scratch: SamplingScratch, kth: Any, top_p: float) -> Any:
    """The chance of the last of the likeliest, of at least `kth`, that reach a part of them all."""
    total = 0.0
    for chance in scratch.chances:
        total += np.float64(chance) if chance >= kth else 0.0
    wanted, passed = top_p * total, 0.0
    for number in range(BINS):
        if passed + scratch.masses[number] >= wanted:
            chances = _sorted_bin(scratch, number)
            for index in range(len(chances) - 1, -1, -1):
                passed += chances[index]
                if passed >= wanted or chances[index] <= kth:
                    return chances[index]
        else:
            passed += scratch.masses[number]
    return ZERO
