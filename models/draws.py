"""Seeded noise: every draw of a story comes from its request's own CPU generator."""

import hashlib

import torch
from torch import Tensor


def seeded(seed: int) -> torch.Generator:
    """The generator of one item. Torch's takes 32 bits, so all 53 of the seed are folded in."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:4], "big"))


def normal(rng: torch.Generator, *shape: int) -> Tensor:
    """Standard normal values, float32."""
    return torch.randn(shape, generator=rng)


def truncated_normal(rng: torch.Generator, bound: float, *shape: int) -> Tensor:
    """Normal values given that |z| <= bound, by the inverse CDF: a uniform each, float32."""
    u = torch.rand(shape, generator=rng, dtype=torch.float64)
    low = torch.special.ndtr(torch.tensor(-bound, dtype=torch.float64))
    z: Tensor = torch.special.ndtri(low + u * (1 - 2 * low))
    return z.clamp(-bound, bound).float()  # rounding may pass the bound by an ulp
