"""Gaussian mixtures against scipy and scikit-learn."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture as Oracle

from models.nets.mixture import GaussianMixture
from training.learners.mixture import em_step, mean_log_prob, principal_axes, scatter


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def random_mixture(covariance: Any) -> GaussianMixture:
    mixture = GaussianMixture(3, 4, covariance)
    for parameter in mixture.parameters():
        parameter.data = torch.randn(parameter.shape, generator=rng()) * 0.5
    return mixture


def blobs() -> torch.Tensor:
    """600 rows about three points, squeezed and turned."""
    g = rng()
    centres = torch.tensor([[0.0, 0.0], [4.0, 1.0], [-2.0, 5.0]])
    turn = torch.tensor([[1.0, 0.4], [0.0, 0.5]])
    return torch.randn(600, 2, generator=g) @ turn + centres.repeat(200, 1)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_log_prob_is_scipys(covariance: Any) -> None:
    mixture = random_mixture(covariance)
    x = torch.randn(7, 4)
    shares = mixture.logits.softmax(0).tolist()
    factor = mixture.factor().detach().double().numpy()
    density = sum(
        share * multivariate_normal(mean, lower @ lower.T).pdf(x.numpy())
        for share, mean, lower in zip(shares, mixture.means.detach().numpy(), factor, strict=True)
    )
    assert np.allclose(mixture.log_prob(x).detach().numpy(), np.log(density), atol=1e-4)


def test_far_rows_have_a_finite_log_prob() -> None:
    mixture = random_mixture("full")
    assert torch.isfinite(mixture.log_prob(torch.full((1, 4), 1e4))).all()


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_draws_have_the_moments_of_the_mixture(covariance: Any) -> None:
    mixture = random_mixture(covariance)
    count = 200_000
    u, eps = torch.rand(count, generator=rng()), torch.randn(count, 4, generator=rng())
    x = mixture.draw(u, eps).detach()
    shares, means = mixture.logits.softmax(0).detach(), mixture.means.detach()
    factor = mixture.factor().detach()
    mean = shares @ means
    apart = means - mean
    within = torch.einsum("k,kij,klj->il", shares, factor, factor)
    between = torch.einsum("k,ki,kj->ij", shares, apart, apart)
    assert torch.allclose(x.mean(0), mean, atol=0.02)
    assert torch.allclose(x.T.cov(), within + between, atol=0.05)


def test_the_uniform_picks_the_component() -> None:
    mixture = GaussianMixture(2, 1)
    mixture.logits.data = torch.tensor([0.25, 0.75]).log()
    mixture.means.data = torch.tensor([[-1.0], [1.0]])
    u = torch.tensor([0.0, 0.2, 0.3, 0.999999, 1.0])
    assert mixture.draw(u, torch.zeros(5, 1)).flatten().tolist() == [-1, -1, 1, 1, 1]


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_em_raises_the_likelihood_and_ends_where_scikit_learn_does(covariance: Any) -> None:
    x = blobs()
    mixture = GaussianMixture(3, 2, covariance)
    scatter(mixture, x, rng())
    rounds = [em_step(mixture, x) for _ in range(100)]
    assert all(after >= before - 1e-4 for before, after in pairwise(rounds))
    kind = {"diagonal": "diag", "full": "full"}[covariance]
    oracle = Oracle(3, covariance_type=kind, n_init=5, random_state=0, tol=1e-6, max_iter=500)
    oracle.fit(x.numpy())
    assert rounds[-1] == pytest.approx(oracle.score(x.numpy()), abs=0.01)
    assert mean_log_prob(mixture, x) == pytest.approx(rounds[-1], abs=1e-3)


def test_one_step_of_em_is_scikit_learns() -> None:
    x = blobs()
    mixture = GaussianMixture(3, 2, "full")
    scatter(mixture, x, rng())
    lower = mixture.factor().detach().double().numpy()
    precisions = np.linalg.inv(lower @ lower.transpose(0, 2, 1))
    oracle = Oracle(
        3,
        covariance_type="full",
        max_iter=1,
        weights_init=np.full(3, 1 / 3),
        means_init=mixture.means.detach().double().numpy(),
        precisions_init=precisions,
        reg_covar=1e-3 * x.var(0).mean().item(),
    )
    with pytest.warns(match="did not converge"):
        oracle.fit(x.double().numpy())
    em_step(mixture, x)
    assert np.allclose(mixture.means.detach().numpy(), oracle.means_, atol=1e-4)
    got = mixture.factor().detach().numpy()
    assert np.allclose(got @ got.transpose(0, 2, 1), oracle.covariances_, atol=1e-3)
    assert np.allclose(mixture.logits.exp().detach().numpy(), oracle.weights_, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_the_gradient_leads_to_the_same_likelihood(covariance: Any) -> None:
    x = blobs()
    by_rounds, by_slope = (GaussianMixture(3, 2, covariance) for _ in range(2))
    for mixture in (by_rounds, by_slope):
        scatter(mixture, x, rng())
    for _ in range(100):
        em_step(by_rounds, x)
    optimiser = torch.optim.Adam(by_slope.parameters(), 0.03)
    for _ in range(900):
        loss = -by_slope.log_prob(x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert -loss.item() == pytest.approx(mean_log_prob(by_rounds, x), abs=0.02)


def test_rows_that_are_all_alike_do_not_break_it() -> None:
    x = torch.zeros(20, 2)
    x[0] = 1.0
    mixture = GaussianMixture(3, 2, "full")
    scatter(mixture, x, rng())
    for _ in range(5):
        em_step(mixture, x)
    assert torch.isfinite(mixture.log_prob(x)).all()


def test_principal_axes_are_scikit_learns() -> None:
    from sklearn.decomposition import PCA

    x = torch.randn(300, 10, generator=rng()) @ torch.randn(10, 10, generator=rng())
    centre, axes = principal_axes(x, 4)
    oracle = PCA(4).fit(x.numpy())
    assert np.allclose(centre.numpy(), oracle.mean_, atol=1e-4)
    alike = np.abs((axes.numpy() * oracle.components_).sum(1))
    assert np.allclose(alike, 1, atol=1e-3)
    assert torch.allclose(axes @ axes.T, torch.eye(4), atol=1e-4)


def test_what_no_mixture_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one component"):
        GaussianMixture(0, 2)
    with pytest.raises(ValueError, match="diagonal or full, not round"):
        GaussianMixture(1, 2, "round")  # type: ignore[arg-type]
