"""The Fréchet distance of two sets of features, each taken as one Gaussian."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A mean (D,) and a covariance (D, D), both float64."""

    mean: Tensor
    covariance: Tensor

    @cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance.

        By its eigenvectors: where there are fewer rows than dimensions the covariance is singular,
        and rounding makes some eigenvalues negative, which are 0.
        """
        values, vectors = torch.linalg.eigh(self.covariance)
        root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        return root


def gaussian_of(rows: Tensor) -> Gaussian:
    """The mean and the unbiased covariance of rows (N, D), N of at least 2."""
    if len(rows) < 2:
        raise ValueError(f"a covariance needs two rows at least, not {len(rows)}")
    x = rows.double()
    mean = x.mean(0)
    apart = x - mean
    return Gaussian(mean, apart.T @ apart / (len(x) - 1))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): Heusel et al. 2017 (1706.08500), eq. 6.

    C_a C_b isn't symmetric, but has the eigenvalues of C_a^(1/2) C_b C_a^(1/2), which is: so no
    root is ever complex. The figure is the squared distance, as the paper has it; 0 for equals.
    """
    between = a.root @ b.covariance @ a.root
    shared = torch.linalg.eigvalsh((between + between.T) / 2).clamp(min=0).sqrt().sum()
    apart = (a.mean - b.mean).square().sum()
    squared = apart + a.covariance.trace() + b.covariance.trace() - 2 * shared
    return max(0.0, float(squared))
