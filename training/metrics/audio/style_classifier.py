"""Which of some styles sound is in: a linear classifier over how its spectrum is, and varies."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.metrics.audio.mel import log_mel

BANDS = 40
ROWS = 64  # windows looked at together
PENALTY = 1e-3  # on the squares of weights


@dataclass(frozen=True, slots=True)
class StyleClassifier:
    """Of standardised features: mean and deviation of each mel band over time."""

    rate: int
    mean: Tensor
    deviation: Tensor
    weight: Tensor  # (features + 1, styles), the last row a bias

    def styles(self, sound: Tensor) -> Tensor:
        """The likeliest style (N,) of sound (N, samples) in [-1, 1]."""
        seen = (features(sound, self.rate) - self.mean) / self.deviation
        return (F.pad(seen, (0, 1), value=1.0) @ self.weight).argmax(1)


def features(sound: Tensor, rate: int) -> Tensor:
    """(N, 2 BANDS): of each window of sound (N, samples)."""
    batches = []
    for rows in torch.split(sound, ROWS):
        seen = log_mel(rows, rate, bands=BANDS, size=1024, hop=256)
        batches.append(torch.cat([seen.mean(2), seen.std(2)], 1))
    return torch.cat(batches)


def train_style_classifier(sound: Tensor, style: Tensor, rate: int) -> StyleClassifier:
    """Logistic regression on windows (N, samples) and their styles (N,), to its minimum."""
    seen = features(sound, rate)
    mean, deviation = seen.mean(0), seen.std(0).clamp(min=1e-3)
    x = F.pad((seen - mean) / deviation, (0, 1), value=1.0)
    weight = torch.zeros(x.shape[1], int(style.max()) + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(x @ weight, style) + PENALTY * weight.square().sum()
        torch.autograd.backward(value)
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return StyleClassifier(rate, mean, deviation, weight.detach())
