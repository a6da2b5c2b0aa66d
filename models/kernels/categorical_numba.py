"""Draws a class from logits as machine code, as `models.kernels.categorical` does with tensors."""

from typing import Any

import numpy as np

from models.kernels.simd import LANES, Floats, compiled, exp

ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
NAN, INFINITE = np.float32(np.nan), np.float32(np.inf)


@compiled
def draw(
    logits: Floats, u: Any, temperature: Any, top_p: Any, chances: Floats, parts: Floats
) -> int:
    """The class that a uniform draws, as `Draws` says; -1 where there is none.

    chances: as many as the logits, ends of vectors included, all zero beyond the classes.
    """
    most, scale, classes = logits[0], ONE / temperature, len(logits)
    for c in range(classes):
        if not logits[c] < INFINITE:  # no number, or +inf; what is -inf is never drawn
            return -1
        most = max(most, logits[c])
    for c in range(classes):
        chance = exp((logits[c] - most) * scale)  # of -inf a little
        chances[c] = chance if logits[c] > -INFINITE else ZERO
    total = _reached(chances, ZERO, parts)
    if not (total > ZERO and u == u):  # noqa: PLR0124 - how one asks whether it is a number
        return -1
    least = _least(chances, top_p * total, parts) if top_p < ONE else ZERO
    goal, passed, last = u * _reached(chances, least, parts), ZERO, 0
    for c in range(classes):
        if chances[c] > ZERO and chances[c] >= least:
            passed, last = passed + chances[c], c
            if passed > goal:
                break
    return last


@compiled
def _least(chances: Floats, enough: Any, parts: Floats) -> Any:
    """What the likeliest that together reach `enough` have at least, the largest being 1."""
    low, high = ZERO, TWO
    for _ in range(30):
        middle = HALF * (low + high)
        if _reached(chances, middle, parts) >= enough:
            low = middle
        else:
            high = middle
    return low


@compiled
def _reached(chances: Floats, least: Any, parts: Floats) -> Any:
    """What those of at least so much sum to, vectors first."""
    total = ZERO
    parts[:] = ZERO
    for start in range(0, len(chances), LANES):
        vector = chances[start : start + LANES]
        for lane in range(LANES):
            parts[lane] += vector[lane] if vector[lane] >= least else ZERO
    for partial in parts:
        total += partial
    return total
