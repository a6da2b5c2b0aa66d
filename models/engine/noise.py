"""Seeded noise: every draw of a flow comes from its request's own CPU generator."""

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Tensor


def seeded(seed: int) -> torch.Generator:
    """The generator of one item. Torch's takes 32 bits, so all 53 of the seed are folded in."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:4], "big"))


def derived(rng: torch.Generator) -> torch.Generator:
    """A separate generator for one stage of a flow, so that the number of its draws does not change
    the draws after it."""
    return seeded(int(torch.randint(2**62, (), generator=rng)))


def normal(rng: torch.Generator, *shape: int) -> Tensor:
    """Standard normal values, float32."""
    return torch.randn(shape, generator=rng)


def uniform_parts(rng: torch.Generator, parts: int) -> Tensor:
    """One uniform draw as a whole number of `parts`, a power of two up to 2**24."""
    return (torch.rand((), generator=rng) * parts).long()


def slerp(a: Tensor, b: Tensor, fraction: float) -> Tensor:
    """The point at `fraction` of the way from a to b along a great circle (White 2016, 1609.04468).

    Of normal draws it keeps the length that a straight line would lose. 0 gives a, bit for bit.
    """
    cosine = torch.sum(a * b, dtype=torch.float64) / (a.double().norm() * b.double().norm())
    angle = torch.arccos(cosine.clamp(-1.0, 1.0)).item()
    if not math.sin(angle) >= 1e-4:  # no length, along a line, or opposite: no circle to follow
        return line(a, b, fraction)
    near, far = math.sin((1 - fraction) * angle), math.sin(fraction * angle)
    return a * (near / math.sin(angle)) + b * (far / math.sin(angle))


def line(a: Tensor, b: Tensor, fraction: float) -> Tensor:
    """The point at `fraction` of the straight way from a to b."""
    return a + (b - a) * fraction


def walk(
    between: Callable[[Tensor, Tensor, float], Tensor], a: Tensor, b: Tensor, count: int
) -> list[Tensor]:
    """`count` points from a to b, both included, as `between` has it."""
    return [between(a, b, i / (count - 1)) for i in range(count)]
