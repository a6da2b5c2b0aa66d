"""Losses as plain functions; each returns one value per row, (B,), unless it says otherwise."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def kl_to_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp logvar) || N(0, 1)) in nats, (B, latent) -> (B,).

    Kingma and Welling 2014 (arXiv 1312.6114), appendix B.
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)


def total_correlation(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """An estimate of KL(q(z) || prod_i q(z_i)) in nats at each row: three of (B, latent) -> (B,).

    q(z) is the mean of N(mu, exp logvar) over the batch. Chen et al. 2018 (1802.04942), equation
    S3, weigh it by the size of the data set, which changes the value by a constant and no gradient.
    """
    apart = (z[:, None] - mu).square() * (-logvar).exp()
    densities = -0.5 * (apart + logvar + math.log(2 * math.pi))  # (B, B, latent)
    joint = densities.sum(2).logsumexp(1) - math.log(len(z))
    return joint - (densities.logsumexp(1) - math.log(len(z))).sum(1)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) in nats, summed over the picture: (B, C, H, W) -> (B,).

    x in [0, 1] is taken as the mean of a binary pixel, so the floor is the entropy of x, not 0.
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def pixel_entropy(x: Tensor) -> Tensor:
    """The least that `bernoulli_nll` can be for x, reached when the logits are those of x, (B,)."""
    return -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).flatten(1).sum(1)


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))) from logits, (B,): Goodfellow et al. 2014, equation 1."""
    return F.softplus(-real) + F.softplus(fake)


def nonsaturating_generator(fake: Tensor) -> Tensor:
    """-log D(G(z)) from logits, (B,): Goodfellow et al. 2014 (arXiv 1406.2661), section 3."""
    return F.softplus(-fake)


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """|grad_x D(x)|^2 on real pictures, (B,): Mescheder et al. 2018 (1801.04406), equation 9."""
    x = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return slope.square().flatten(1).sum(1)


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """f(G(z)) - f(x), (B,): what a critic lowers (Arjovsky et al. 2017, 1701.07875, equation 3)."""
    return fake - real


def wasserstein_generator(fake: Tensor) -> Tensor:
    """-f(G(z)), (B,): Arjovsky et al. 2017, theorem 3."""
    return -fake


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator
) -> Tensor:
    """(|grad_x f(x)| - 1)^2 between pairs of real and fake, (B,), for rows of any shape.

    Gulrajani et al. 2017 (1704.00028), equation 3: x lies on the line between the two, at a place
    of its own in each row.
    """
    shape = (len(real), *[1] * (real.ndim - 1))
    fraction = torch.rand(shape, generator=rng).to(real.device)
    x = (fraction * real.detach() + (1 - fraction) * fake.detach()).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    apart: Tensor = slope.flatten(1).norm(dim=1) - 1
    return apart.square()


def edges_l1(output: Tensor, target: Tensor) -> Tensor:
    """L1 of the differences between neighbouring pixels: the mean of those downwards and the mean
    of those across, added, (B, C, H, W) -> (): one value for all rows.

    The gradient difference loss of Mathieu et al. 2016 (1511.05440), with the signs kept.
    """
    down = F.l1_loss(output.diff(dim=2), target.diff(dim=2))
    return down + F.l1_loss(output.diff(), target.diff())


def gaussian_nll(mean: Tensor, logvar: Tensor, x: Tensor) -> Tensor:
    """-log N(x; mean, exp logvar) in nats, summed over the picture: (B, C, H, W) -> (B,)."""
    terms = (x - mean).square() / logvar.exp() + logvar + math.log(2 * math.pi)
    return 0.5 * terms.flatten(1).sum(1)
