"""Directions of a latent space that change an attribute of a picture, and not its kind."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

CHANGE = 2.0  # amount, either way, at which a kind must stay
KEPT = 0.95  # share of pictures whose kind must stay then
HALVINGS = 20  # of the interval in which a length is sought


@dataclass(frozen=True, slots=True)
class KindClassifier:
    """Linear discriminant analysis: Gaussians of one covariance, and kinds equally likely
    (Hastie, Tibshirani and Friedman 2009, equation 4.10)."""

    weight: Tensor  # (kinds, latent)
    bias: Tensor  # (kinds,)

    @classmethod
    def fitted(cls, means: Tensor, within: Tensor) -> "KindClassifier":
        """From the kinds' means (kinds, latent), and latents less the mean of their kind."""
        covariance = within.T @ within / len(within)
        weight = means @ torch.linalg.pinv(covariance, hermitian=True)
        return cls(weight, -(weight * means).sum(1) / 2)

    def __call__(self, mu: Tensor) -> Tensor:
        """The likeliest kinds, (N,), of latents (N, latent)."""
        return (mu @ self.weight.T + self.bias).argmax(1)


def attribute_directions(mu: Tensor, tags: Mapping[str, Tensor], kind: Tensor) -> Tensor:
    """A direction for each tag, (tags, latent), from latents (N, latent) and kinds (N,).

    A tag, (N,) bool, says which pictures have the attribute. Each direction goes from the mean of
    those without it to that of those with it (Larsen et al. 2016, 1512.09300, section 4.2), of
    latents from which the mean of their kind is subtracted. Its length is one standard deviation
    of such latents along it, or less: a move by `CHANGE` lengths either way leaves a share of
    `KEPT` of the latents in their kind, as a linear classifier has it.

    Raises ValueError for a tag that all pictures have, or none, and for one that changes only
    with the kind.
    """
    numbers, kind = kind.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    means = torch.stack([mu[kind == k].mean(0) for k in range(len(numbers))])
    within = mu - means[kind]
    classify = KindClassifier.fitted(means, within)
    return torch.stack([_direction(n, mu, within, tag, classify) for n, tag in tags.items()])


def _direction(
    name: str, mu: Tensor, within: Tensor, tag: Tensor, classify: KindClassifier
) -> Tensor:
    if not 0 < int(tag.sum()) < len(tag):
        raise ValueError(f"{name}: it is true of all pictures or of none")
    apart = within[tag].mean(0) - within[~tag].mean(0)
    if apart.norm() <= 1e-6 * mu.std():
        raise ValueError(f"{name}: it changes only with the kind")
    unit = apart / apart.norm()
    return longest_within_kind(mu, unit * (within @ unit).std(), classify)


def longest_within_kind(mu: Tensor, direction: Tensor, classify: KindClassifier) -> Tensor:
    """The direction, shortened until a move along it leaves enough latents in their kind."""
    kind = classify(mu)

    def kept(scale: float) -> float:
        moved = (mu + sign * CHANGE * scale * direction for sign in (-1, 1))
        return min(float((classify(z) == kind).double().mean()) for z in moved)

    if kept(1.0) >= KEPT:
        return direction
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) >= KEPT else (low, middle)
    return low * direction


def kinds_of(columns: tuple[Tensor, ...]) -> Tensor:
    """The kinds, (N,), of a data set's columns: its labels, or one kind where it has none."""
    if len(columns) > 1:
        return columns[1].long()
    return torch.zeros(len(columns[0]), dtype=torch.int64)
