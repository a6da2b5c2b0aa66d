"""Attributes are directions that leave the kind of a picture alone."""

import pytest
import torch
from torch import Tensor

from models.engine.noise import seeded
from training.learners.attributes import (
    CHANGE,
    KEPT,
    KindClassifier,
    attribute_directions,
    kinds_of,
    longest_within_kind,
)


def blobs() -> tuple[Tensor, Tensor]:
    """Three kinds apart along the first latent; the second is free."""
    rng = seeded(0)
    kind = torch.arange(3000) % 3
    mu = torch.randn(3000, 4, generator=rng)
    mu[:, 0] = mu[:, 0] / 4 + 3 * kind
    return mu, kind


def test_a_direction_is_that_of_the_attribute_within_the_kinds() -> None:
    """The kinds differ in how often they have the tag, which plain means would follow."""
    mu, kind = blobs()
    tag = mu[:, 1] + kind > 1
    (direction,) = attribute_directions(mu, {"tag": tag}, kind)
    plain = mu[tag].mean(0) - mu[~tag].mean(0)
    assert abs(plain[0]) > abs(plain[1])
    assert direction.norm().item() == pytest.approx(mu[:, 1].std().item(), rel=0.05)
    assert direction[1] > 0.98 * direction.norm()


def test_a_direction_between_kinds_is_shortened_until_they_stay() -> None:
    mu, kind = blobs()
    tag = mu[:, 0] - 3 * kind > 0
    (direction,) = attribute_directions(mu, {"tag": tag}, kind)
    means = torch.stack([mu[kind == k].mean(0) for k in range(3)])
    classify = KindClassifier.fitted(means, mu - means[kind])
    shares = [
        (classify(mu + sign * CHANGE * direction) == classify(mu)).double().mean()
        for sign in (-1, 1)
    ]
    whole = 8 * direction
    assert min(shares) >= KEPT
    assert longest_within_kind(mu, whole, classify).norm() < whole.norm()


def test_the_classifier_is_the_likeliest_of_gaussians_of_one_covariance() -> None:
    mu, kind = blobs()
    means = torch.stack([mu[kind == k].mean(0) for k in range(3)])
    within = mu - means[kind]
    covariance = within.T @ within / len(mu)
    likelihood = torch.stack(
        [
            torch.distributions.MultivariateNormal(mean, covariance).log_prob(mu)  # type: ignore[no-untyped-call]
            for mean in means
        ],
        1,
    )
    assert torch.equal(KindClassifier.fitted(means, within)(mu), likelihood.argmax(1))


def test_a_tag_must_divide_the_pictures_of_a_kind() -> None:
    mu, kind = blobs()
    for tag in (kind >= 0, kind < 0):
        with pytest.raises(ValueError, match="true of all pictures or of none"):
            attribute_directions(mu, {"tag": tag}, kind)
    with pytest.raises(ValueError, match="changes only with the kind"):
        attribute_directions(mu[:, :1] * 0 + kind[:, None], {"tag": kind > 1}, kind)


def test_without_labels_all_pictures_are_of_one_kind() -> None:
    pictures = torch.zeros(4, 1, 2, 2)
    assert kinds_of((pictures,)).tolist() == [0] * 4
    assert kinds_of((pictures, torch.tensor([2, 0, 1, 1]))).tolist() == [2, 0, 1, 1]
    mu = torch.randn(500, 3, generator=seeded(1))
    tag = mu[:, 2] > 0
    (direction,) = attribute_directions(mu, {"tag": tag}, torch.zeros(500).long())
    apart = mu[tag].mean(0) - mu[~tag].mean(0)
    unit = apart / apart.norm()
    assert torch.allclose(direction, unit * (mu @ unit).std(), atol=1e-4)
