import numpy as np
import pytest
import scipy.linalg
import torch

from training.metrics.image.frechet import Gaussian, frechet_distance, gaussian_of


def drawn(seed: int, rows: int, wide: int, shift: float = 0.0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(wide, wide, generator=rng)
    return torch.randn(rows, wide, generator=rng) @ mix + shift


def by_scipy(a: Gaussian, b: Gaussian) -> float:
    root = scipy.linalg.sqrtm(a.covariance.numpy() @ b.covariance.numpy())
    apart = (a.mean - b.mean).square().sum().item()
    spread = a.covariance.trace() + b.covariance.trace() - 2 * np.trace(root).real
    return apart + float(spread)


def test_mean_and_covariance_are_numpys() -> None:
    rows = drawn(0, 50, 4, 3.0)
    gaussian = gaussian_of(rows)
    assert np.allclose(gaussian.mean, rows.double().numpy().mean(0))
    assert np.allclose(gaussian.covariance, np.cov(rows.double().numpy().T))


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_the_distance_is_that_by_scipys_matrix_root(shift: float) -> None:
    a, b = gaussian_of(drawn(1, 300, 8)), gaussian_of(drawn(2, 200, 8, shift))
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_diagonal_gaussians_have_a_closed_form() -> None:
    one, other = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 4.0, 1.0]).double()
    a = Gaussian(torch.zeros(3).double(), one.diag())
    b = Gaussian(torch.tensor([1.0, 2.0, 2.0]).double(), other.diag())
    expected = 9 + (one.sqrt() - other.sqrt()).square().sum().item()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_fewer_rows_than_dimensions_leave_it_real_and_zero_for_equals() -> None:
    few = gaussian_of(drawn(3, 10, 40))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(few, gaussian_of(drawn(4, 10, 40))) > 1


@pytest.mark.parametrize("rows", [(10, 300), (300, 10), (12, 9)])
def test_a_few_rows_are_no_other_distance_than_their_covariance(rows: tuple[int, int]) -> None:
    few, many = (gaussian_of(drawn(seed, count, 20, seed)) for seed, count in enumerate(rows))
    plain = [Gaussian(g.mean, g.covariance) for g in (few, many)]
    assert frechet_distance(few, many) == pytest.approx(frechet_distance(*plain), rel=1e-6)


def test_a_shift_alone_is_its_squared_length() -> None:
    rows = drawn(5, 100, 6)
    distance = frechet_distance(gaussian_of(rows), gaussian_of(rows + 2.0))
    assert distance == pytest.approx(6 * 4, rel=1e-5)


def test_one_row_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="two rows"):
        gaussian_of(torch.zeros(1, 3))
