"""Gaussian mixtures: over any vectors, and over the principal components of pictures."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

PARTS = 2**24  # that torch.rand counts in
Covariance = Literal["diagonal", "full"]


class GaussianMixture(nn.Module):
    """p(x) = sum_k pi_k N(x; mu_k, L_k L_k^T), x of `size` numbers (Bishop 2006, equation 9.7).

    A diagonal L_k is exp(log_scales); a full one has `lower` below that diagonal besides.
    """

    def __init__(self, components: int, size: int, covariance: Covariance = "diagonal") -> None:
        super().__init__()
        if components < 1 or size < 1:
            raise ValueError("a mixture has at least one component of one dimension")
        if covariance not in ("diagonal", "full"):
            raise ValueError(f"covariance must be diagonal or full, not {covariance}")
        self.size = size
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.zeros(components, size))
        self.log_scales = nn.Parameter(torch.zeros(components, size))
        self.lower = (
            nn.Parameter(torch.zeros(components, size, size)) if covariance == "full" else None
        )

    def factor(self) -> Tensor:
        """L, (K, D, D), lower triangular with a positive diagonal."""
        diagonal = torch.diag_embed(self.log_scales.exp())
        return diagonal if self.lower is None else diagonal + self.lower.tril(-1)

    def component_log_prob(self, x: Tensor) -> Tensor:
        """log pi_k + log N(x; mu_k, Sigma_k), (B, D) -> (B, K), in nats."""
        apart = x[:, None, :] - self.means  # (B, K, D)
        if self.lower is None:
            white = apart / self.log_scales.exp()
        else:
            columns = apart.permute(1, 2, 0)  # (K, D, B)
            solved = torch.linalg.solve_triangular(self.factor(), columns, upper=False)
            white = solved.permute(2, 0, 1)
        quadratic = white.square().sum(2)
        constant = self.log_scales.sum(1) + self.size / 2 * math.log(2 * math.pi)
        return self.logits.log_softmax(0) - constant - quadratic / 2

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (B, D) -> (B,): a logsumexp over the components."""
        return torch.logsumexp(self.component_log_prob(x), 1)

    def draw_by_parts(self, parts: Tensor, eps: Tensor) -> Tensor:
        """`draw` by whole numbers (B,) of 1 / PARTS: half precision can't hold u."""
        return self.draw(parts.float() / PARTS, eps)

    def draw(self, u: Tensor, eps: Tensor) -> Tensor:
        """Samples (B, D) from a uniform u (B,), which picks the component, and a normal (B, D)."""
        steps = self.logits.float().softmax(0).cumsum(0)
        chosen = torch.searchsorted(steps, u.float()).clamp(max=len(steps) - 1)
        spread = (self.factor()[chosen] * eps[:, None, :]).sum(2)
        return self.means[chosen] + spread


class PrincipalMixture(nn.Module):
    """A mixture over the leading principal components of pictures (Jolliffe 2002, chapter 1)."""

    def __init__(
        self,
        components: int,
        latent: int,
        channels: int = 1,
        size: int = 28,
        covariance: Covariance = "full",
    ) -> None:
        super().__init__()
        if size < 1 or channels < 1:
            raise ValueError("a picture has at least one pixel")
        pixels = channels * size * size
        self.latent, self.shape = latent, (channels, size, size)
        self.mixture = GaussianMixture(components, latent, covariance)
        self.centre = nn.Parameter(torch.zeros(pixels))
        self.axes = nn.Parameter(torch.zeros(latent, pixels))  # orthonormal rows

    def encode(self, x: Tensor) -> Tensor:
        """Coefficients (B, latent) of pictures (B, C, H, W) in [0, 1]."""
        return (x.flatten(1) - self.centre) @ self.axes.T

    def decode(self, z: Tensor) -> Tensor:
        """Pictures (B, C, H, W) of coefficients (B, latent); values may leave [0, 1]."""
        return (self.centre + z @ self.axes).view(-1, *self.shape)
