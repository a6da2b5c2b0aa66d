"""What a sample costs a linear predictor: the floor of a net that draws classes of samples.

Each style has a predictor of its own, by least squares over the samples before on the logarithmic
scale of the classes (models/mulaw.py); what it is off by is taken to be spread as Laplace's law,
whose width follows from how far off the last samples were, and cut into the classes' steps.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

ORDER = 32
ROWS = 64  # of sound, looked at together
FITTED = 128  # rows of each style, at most, that its predictor is fitted to
RIDGE = 1e-6
PAST = 64  # samples whose errors the width follows from


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
    for rows in torch.split(sound, ROWS):
        y = _scaled(rows, classes)
        error = y[:, ORDER:] - y.unfold(1, ORDER, 1)[:, :-1] @ weight
        width = _recent(error.abs()).clamp(min=step / 4)
        low, high = (_below((error + sign * step / 2) / width) for sign in (-1, 1))
        yield -((high - low).clamp(min=1e-9)).log2()


def _recent(off: Tensor) -> Tensor:
    """The mean of the PAST errors before each; before the first nothing is known."""
    sums = torch.nn.functional.pad(off.double().cumsum(1), (1, 0))
    place = torch.arange(off.shape[1])
    first = (place - PAST).clamp(min=0)
    mean = (sums[:, place] - sums[:, first]) / (place - first).clamp(min=1)
    mean[:, 0] = 1.0
    return mean.float()


def _below(x: Tensor) -> Tensor:
    """Laplace's distribution function, of width 1."""
    half = 0.5 * (-x.abs()).exp()
    return torch.where(x < 0, half, 1 - half)


def _past(sound: Tensor, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in torch.split(sound, ROWS):
        y = _scaled(rows, classes)
        yield y.unfold(1, ORDER, 1)[:, :-1].reshape(-1, ORDER), y[:, ORDER:].reshape(-1)


def _scaled(sound: Tensor, classes: int) -> Tensor:
    return sound.float() * (2 / (classes - 1)) - 1
