import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from training.optim.losses import (
    bernoulli_nll,
    edges_l1,
    gaussian_nll,
    gradient_penalty,
    kl_to_standard_normal,
    logistic_discriminator,
    nonsaturating_generator,
    pixel_entropy,
    r1_penalty,
    total_correlation,
    wasserstein_critic,
    wasserstein_generator,
)


def test_kl_equals_that_of_torch_distributions() -> None:
    mu, logvar = torch.randn(5, 7), torch.randn(5, 7)
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_to_standard_normal(mu, logvar), expected, atol=1e-5)


def test_kl_of_the_prior_is_zero() -> None:
    assert torch.equal(kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))


def test_total_correlation_is_what_the_densities_give() -> None:
    mu, logvar, z = (torch.randn(4, 3, dtype=torch.float64) for _ in range(3))
    normals = [
        [Normal(m, (v / 2).exp()) for m, v in zip(*row, strict=True)]
        for row in zip(mu, logvar, strict=True)
    ]
    expected = []
    for row in z:
        density = torch.stack(
            [
                torch.stack([n.log_prob(x).exp() for n, x in zip(rest, row, strict=True)])
                for rest in normals
            ]
        )
        expected.append(density.prod(1).mean().log() - density.mean(0).log().sum())
    assert torch.allclose(total_correlation(z, mu, logvar), torch.stack(expected))


def test_total_correlation_is_that_of_latents_that_agree_or_ignore_each_other() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randint(2, (4000,), generator=rng).float() for _ in range(2))
    logvar = torch.full((4000, 2), -8.0)
    for z, expected in ((torch.stack([a, b], 1), 0.0), (torch.stack([a, a], 1), math.log(2))):
        assert abs(total_correlation(z, z, logvar).mean().item() - expected) < 0.01


def test_reconstruction_is_the_likelihood_of_binary_pixels() -> None:
    logits, x = torch.randn(4, 2, 3, 3), torch.rand(4, 2, 3, 3).round()
    expected = -Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(bernoulli_nll(logits, x), expected, atol=1e-5)


def test_pixel_entropy_is_what_perfect_logits_reach() -> None:
    x = torch.rand(3, 1, 4, 4).clamp(0.01, 0.99)
    assert torch.allclose(pixel_entropy(x), bernoulli_nll(torch.logit(x), x), atol=1e-4)
    assert torch.equal(pixel_entropy(torch.ones(1, 1, 2, 2)), torch.zeros(1))


def test_an_undecided_discriminator_pays_log_4_and_its_generator_log_2() -> None:
    undecided = torch.zeros(3)
    loss = logistic_discriminator(undecided, undecided)
    assert torch.allclose(loss, torch.full((3,), math.log(4)))
    assert torch.allclose(nonsaturating_generator(undecided), torch.full((3,), math.log(2)))


def test_losses_are_those_of_the_probabilities() -> None:
    real, fake = torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    on_real, on_fake = real.sigmoid(), fake.sigmoid()
    assert torch.allclose(logistic_discriminator(real, fake), -on_real.log() - (1 - on_fake).log())
    assert torch.allclose(nonsaturating_generator(fake), -on_fake.log())


def test_r1_of_a_linear_discriminator_is_its_squared_weight() -> None:
    weight = torch.randn(3, 4, 4)
    penalty = r1_penalty(lambda x: (x * weight).sum((1, 2, 3)), torch.rand(2, 3, 4, 4))
    assert torch.allclose(penalty, weight.square().sum().expand(2), rtol=1e-5)


def test_r1_teaches_the_discriminator() -> None:
    weight = torch.randn(3, 4, 4, requires_grad=True)
    penalty = r1_penalty(lambda x: (x * weight).sum((1, 2, 3)), torch.rand(2, 3, 4, 4))
    (slope,) = torch.autograd.grad(penalty.mean(), weight)
    assert torch.allclose(slope, 2 * weight, rtol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (2, 6), (3, 4, 4), (2, 3, 4, 4)])
def test_gradient_penalty_of_a_linear_critic_is_how_far_its_slope_is_from_1(
    shape: tuple[int, ...],
) -> None:
    weight = torch.randn(shape)
    real, fake = torch.rand(7, *shape), torch.rand(7, *shape)
    penalty = gradient_penalty(
        lambda x: (x * weight).flatten(1).sum(1), real, fake, torch.Generator().manual_seed(0)
    )
    assert torch.allclose(penalty, (weight.norm() - 1).square().expand(7), rtol=1e-4)


def test_gradient_penalty_looks_between_the_pictures_at_a_place_of_each_row() -> None:
    real, fake, seen = torch.zeros(4, 2), torch.ones(4, 2), []

    def critic(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach())
        return x.square().sum(1)

    gradient_penalty(critic, real, fake, torch.Generator().manual_seed(0))
    (x,) = seen
    assert torch.equal(x[:, 0], x[:, 1])
    assert len(x[:, 0].unique()) == 4
    assert ((x > 0) & (x < 1)).all()


def test_wasserstein_losses_are_what_the_critic_says() -> None:
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([1.0, -2.0])
    assert wasserstein_critic(real, fake).tolist() == [-2.0, -3.0]
    assert wasserstein_generator(fake).tolist() == [-1.0, 2.0]


def test_gaussian_nll_is_scipys() -> None:
    from scipy.stats import norm

    x, mean = torch.rand(3, 1, 4, 4), torch.rand(3, 1, 4, 4)
    logvar = torch.tensor(-1.3)
    oracle = -norm.logpdf(x.numpy(), mean.numpy(), math.exp(-1.3 / 2)).sum((1, 2, 3))
    assert torch.allclose(
        gaussian_nll(mean, logvar, x), torch.from_numpy(oracle).float(), rtol=1e-4
    )


def test_edges_are_counted_by_what_a_pixel_differs_from_its_neighbours() -> None:
    x = torch.rand(3, 2, 5, 4)
    target, output = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    assert edges_l1(x + 0.25, x) == pytest.approx(0, abs=1e-6)  # no edge has changed
    output[..., 2] = 0.5  # one edge of two in each of three rows, and none downwards
    assert edges_l1(output, target).item() == 0.25
    assert edges_l1(output.mT, target).item() == 0.25
    assert (
        edges_l1(-output, output).item() == 0.5
    )  # light on dark is another edge than dark on light
