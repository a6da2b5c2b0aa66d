"""A figure measured several times, as its mean and how far the mean can be trusted."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Of Student's t at 0.975, for 1 to 9 degrees of freedom."""
MOST = len(QUANTILES) + 1


@dataclass(frozen=True, slots=True)
class Interval:
    """mean +- half holds the true mean in 95 of 100 such measurements; from one, half is None."""

    mean: float
    half: float | None

    def card(self) -> dict[str, JsonValue]:
        """As a checkpoint's card has it."""
        half = None if self.half is None else round(self.half, 4)
        return {"mean": round(self.mean, 4), "ci95": half}


def interval(values: Sequence[float]) -> Interval:
    """From independent measurements, at most ten, by Student's t (1908)."""
    count, mean = len(values), statistics.fmean(values)
    if count == 1:
        return Interval(mean, None)
    return Interval(mean, QUANTILES[count - 2] * statistics.stdev(values) / math.sqrt(count))
