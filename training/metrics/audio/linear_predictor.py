"""What a sample costs a linear predictor: the floor of a net that draws classes of samples.

Each style has a predictor of its own, by least squares over the samples before, as they sound; what
it is off by is taken to be spread as Laplace's law, whose width follows from how far off the last
samples were, and cut where one class ends and the next begins (models/audio/mulaw.py).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.audio import mulaw

ORDER = 32
ROWS = 64  # of sound, looked at together
FITTED = 128  # rows of each style, at most, that its predictor is fitted to
RIDGE = 1e-6
PAST = 64  # samples whose errors the width follows from
SELDOM = 1e-6  # no class is thought to be less likely


def linear_bits(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], classes: int = 256
) -> float:
    """Bits a sample of rows of classes (N, samples) uint8 and their styles (N,)."""
    bits, count = 0.0, 0
    for style in sorted(set(test[1].tolist())):
        weight = fitted(train[0][train[1] == style][:FITTED], classes)
        for cost in costs(test[0][test[1] == style], weight, classes):
            bits, count = bits + float(cost.double().sum()), count + cost.numel()
    return bits / count


def fitted(sound: Tensor, classes: int) -> Tensor:
    """The weights of the ORDER samples before, the nearest last, (ORDER,)."""
    gram, target = torch.zeros(ORDER, ORDER, dtype=torch.float64), torch.zeros(ORDER).double()
    for before, now in _past(sound, classes):
        gram += (before.t() @ before).double()
        target += (before.t() @ now).double()
    ridge = RIDGE * gram.trace() / ORDER * torch.eye(ORDER, dtype=torch.float64)
    weight: Tensor = torch.linalg.solve(gram + ridge, target)
    return weight.float()


def costs(sound: Tensor, weight: Tensor, classes: int) -> Iterator[Tensor]:
    """Bits of every sample but the first ones of each row, (rows, samples) at a time."""
    step = 2 / (classes - 1)
    edges = mulaw.expand((torch.arange(classes + 1) - 0.5) * step - 1, classes)
    least = float(edges.diff().min())  # of a width
    for rows in torch.split(sound, ROWS):
        x = mulaw.decode(rows.long(), classes)
        wanted, guess = rows[:, ORDER:].long(), x.unfold(1, ORDER, 1)[:, :-1] @ weight
        width = _recent((x[:, ORDER:] - guess).abs()).clamp(min=least)
        low, high = (_below((edges[wanted + above] - guess) / width) for above in (0, 1))
        yield -((high - low).clamp(min=SELDOM)).log2()


def _recent(off: Tensor) -> Tensor:
    """The mean of the PAST errors before each; before the first nothing is known."""
    sums = torch.nn.functional.pad(off.double().cumsum(1), (1, 0))
    index = torch.arange(off.shape[1])
    first = (index - PAST).clamp(min=0)
    mean = (sums[:, index] - sums[:, first]) / (index - first).clamp(min=1)
    mean[:, 0] = 1.0
    return mean.float()


def _below(x: Tensor) -> Tensor:
    """Laplace's distribution function, of width 1."""
    half = 0.5 * (-x.abs()).exp()
    return torch.where(x < 0, half, 1 - half)


def _past(sound: Tensor, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in torch.split(sound, ROWS):
        y = mulaw.decode(rows.long(), classes)
        yield y.unfold(1, ORDER, 1)[:, :-1].reshape(-1, ORDER), y[:, ORDER:].reshape(-1)
