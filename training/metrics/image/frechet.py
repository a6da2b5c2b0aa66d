"""The Fréchet distance of two sets of features, each taken as one Gaussian."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A mean (D,) and a covariance (D, D), both float64."""

    mean: Tensor
    covariance: Tensor
    rows: Tensor | None = None
    """(N, D) with rows' rows = covariance, where N is less than D."""

    @cached_property
    def factor(self) -> Tensor:
        """F with F' F = covariance: the few rows, else the symmetric square root.

        The root by eigenvectors: of a covariance that is nearly singular, rounding makes some
        eigenvalues negative, which are 0.
        """
        if self.rows is not None:
            return self.rows
        values, vectors = torch.linalg.eigh(self.covariance)
        root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        return root

    @property
    def rank(self) -> int:
        return len(self.mean if self.rows is None else self.rows)


def gaussian_of(rows: Tensor) -> Gaussian:
    """The mean and the unbiased covariance of rows (N, D), N of at least 2."""
    if len(rows) < 2:
        raise ValueError(f"a covariance needs two rows at least, not {len(rows)}")
    x = rows.double()
    mean = x.mean(0)
    apart = (x - mean) / math.sqrt(len(x) - 1)
    return Gaussian(mean, apart.T @ apart, apart if len(x) < len(mean) else None)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): Heusel et al. 2017 (1706.08500), eq. 6.

    C_a C_b isn't symmetric, but has the eigenvalues of F_a C_b F_a', which is: so no root is ever
    complex. The figure is the squared distance, as the paper has it; 0 for equals.
    """
    low, high = (a, b) if a.rank <= b.rank else (b, a)
    between = low.factor @ high.covariance @ low.factor.T
    shared = torch.linalg.eigvalsh((between + between.T) / 2).clamp(min=0).sqrt().sum()
    apart = (a.mean - b.mean).square().sum()
    squared = apart + a.covariance.trace() + b.covariance.trace() - 2 * shared
    return max(0.0, float(squared))
