"""Learning rates as functions of the step: a resumed run needs no state for them."""

import math
from typing import Annotated

from pydantic import Field
from torch.optim import Optimizer

Part = Annotated[float, Field(ge=0, le=1)]
"""Of the steps of a training, the last ones: so that it scales with them."""


def warm_cosine(step: int, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """A factor: up a line over `warmup` steps, then down a cosine to `floor` at `steps`.

    Loshchilov and Hutter 2017 (1608.03983), equation 5, without restarts.
    """
    if step < warmup:
        return (step + 1) / warmup
    fraction = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (1 - floor) * (1 + math.cos(math.pi * fraction)) / 2


def level_then_line(step: int, steps: int, fraction: float, floor: float) -> float:
    """A factor: 1, then over the last `part` of the steps down a line to `floor`, and on at it."""
    length = round(steps * fraction)
    past = step - (steps - length)
    return 1 - (1 - floor) * min(1.0, max(0, past) / length) if length else 1.0


def set_rate(optimiser: Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
