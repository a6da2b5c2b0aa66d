import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import sklearn.metrics
import torch

from training.metrics.information import (
    binned,
    entropy,
    jensen_shannon,
    joint_counts,
    kl_divergence,
    mutual_information,
)


def distribution(seed: int, count: int = 9, empty: int = 0) -> torch.Tensor:
    p = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    p[:empty] = 0
    return p / p.sum()


@pytest.mark.parametrize("empty", [0, 3])
def test_entropy_is_scipys(empty: int) -> None:
    p = distribution(0, empty=empty)
    assert entropy(p) == pytest.approx(scipy.stats.entropy(p.numpy()), rel=1e-12)


def test_entropy_has_its_closed_forms_exactly() -> None:
    assert entropy(torch.tensor([0.0, 1.0, 0.0])) == 0  # no epsilon is added anywhere
    assert entropy(torch.full((8,), 1 / 8)) == pytest.approx(math.log(8), rel=1e-12)


def test_divergence_is_scipys_and_zero_for_equals() -> None:
    p, q = distribution(1, empty=2), distribution(2)
    expected = scipy.stats.entropy(p.numpy(), q.numpy())
    assert kl_divergence(p, q) == pytest.approx(expected, rel=1e-12)
    assert kl_divergence(p, p) == 0


def test_divergence_from_what_calls_it_impossible_is_infinite() -> None:
    assert kl_divergence(distribution(1), distribution(2, empty=1)) == math.inf


def test_divergence_of_two_binomials_has_its_closed_form() -> None:
    n, a, b = 12, 0.3, 0.6
    counts = np.arange(n + 1)
    p, q = (torch.from_numpy(scipy.stats.binom.pmf(counts, n, chance)) for chance in (a, b))
    expected = n * (a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)))
    assert kl_divergence(p, q) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("empty", [0, 4])
def test_jensen_shannon_is_the_square_of_scipys_distance(empty: int) -> None:
    p, q = distribution(3, empty=empty), distribution(4)
    expected = scipy.spatial.distance.jensenshannon(p.numpy(), q.numpy()) ** 2
    assert jensen_shannon(p, q) == pytest.approx(expected, rel=1e-9)


def test_jensen_shannon_of_what_never_meets_is_log_2() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert jensen_shannon(p, q) == pytest.approx(math.log(2), rel=1e-12)


def test_mutual_information_is_scikit_learns() -> None:
    rng = torch.Generator().manual_seed(5)
    a = torch.randint(0, 6, (500,), generator=rng)
    b = (a + torch.randint(0, 3, (500,), generator=rng)) % 5
    expected = sklearn.metrics.mutual_info_score(a.numpy(), b.numpy())
    assert mutual_information(joint_counts(a, b)) == pytest.approx(expected, rel=1e-9)


def test_what_is_known_whole_has_its_own_entropy_and_what_is_apart_none() -> None:
    joint = torch.tensor([[3.0, 0.0], [0.0, 5.0]])
    shares = torch.tensor([3 / 8, 5 / 8], dtype=torch.float64)
    assert mutual_information(joint) == pytest.approx(entropy(shares), rel=1e-12)
    assert mutual_information(torch.outer(shares, shares)) == pytest.approx(0, abs=1e-12)


def test_by_histogram_of_two_normals_it_comes_near_the_closed_form() -> None:
    rng, rho = torch.Generator().manual_seed(6), 0.8
    x, eps = torch.randn(2, 200_000, generator=rng)
    y = rho * x + math.sqrt(1 - rho**2) * eps
    information = mutual_information(joint_counts(binned(x, 60), binned(y, 60)))
    assert information == pytest.approx(-math.log(1 - rho**2) / 2, rel=0.05)


def test_bins_are_those_of_numpy_and_a_constant_has_one() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    assert binned(x, 13).bincount().tolist() == np.histogram(x.numpy(), 13)[0].tolist()
    assert binned(torch.full((5,), 2.5), 13).tolist() == [0] * 5


@pytest.mark.parametrize("wrong", [[0.5, 0.4], [1.5, -0.5], [[0.5, 0.5]]])
def test_what_is_no_distribution_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        entropy(torch.tensor(wrong))
