"""Linear probes of a CLIP's vectors (Alain and Bengio 2017, 1610.01644)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RIDGE = 0.3  # of vectors of length 1


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """Ridge regression from vectors to numbers of them."""

    weight: Tensor  # (D, targets)
    bias: Tensor  # (targets,)

    @classmethod
    def fitted(
        cls, x: Tensor, y: Tensor, counts: Tensor | None = None, ridge: float = RIDGE
    ) -> "LinearProbe":
        """Fits vectors x (N, D) to y (N, targets); row i counts `counts[i]` times, or once.

        It minimises the sum of counts times squared errors, plus `ridge` times the squared weights
        without the bias (Hastie, Tibshirani and Friedman 2009, equation 3.44).
        """
        counts = torch.ones(len(x)) if counts is None else counts
        shares = (counts / counts.sum())[:, None]
        mean, target = (x * shares).sum(0), (y * shares).sum(0)
        centred = x - mean
        weighted = (centred * counts[:, None]).T
        gram = weighted @ centred + ridge * torch.eye(x.shape[1])
        weight = torch.linalg.solve(gram, weighted @ (y - target))
        return cls(weight, target - mean @ weight)

    @classmethod
    def of_kinds(cls, x: Tensor, kind: Tensor, kinds: int) -> "LinearProbe":
        """Fits vectors (N, D) to their kinds (N,), all kinds counting the same together."""
        known = F.one_hot(kind, kinds).float()
        counts = len(x) / kinds / known.sum(0).clamp_min(1)
        return cls.fitted(x, known, counts[kind])

    def __call__(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, targets)"""
        return x @ self.weight + self.bias
