"""Samplers of diffusion models: pure functions that await what a net says of a noisy x.

Each takes `denoise(x, i)`, which tells x0 and eps of x at level i, the noise x to begin with, the
levels, and a source of fresh noise; it returns the clean picture. x is always at the scale of
the process, x = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps; those who think in sigmas rescale.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import torch
from torch import Tensor

from models.levels import Levels
from models.process import Denoised

Denoise = Callable[[Tensor, int], Awaitable[Denoised]]
Noise = Callable[[], Tensor]
Sampler = Callable[[Denoise, Tensor, Levels, Noise], Coroutine[Any, Any, Tensor]]


async def ddpm(denoise: Denoise, x: Tensor, levels: Levels, noise: Noise) -> Tensor:
    """Ho et al. 2020 (2006.11239), algorithm 2, equation 7, with the smaller variance."""
    for i in range(len(levels)):
        a, b = levels.alpha_bar[i], levels.after[i]
        found = await denoise(x, i)
        alpha = a / b
        towards = (b**0.5 * (1 - alpha)) / (1 - a)
        kept = alpha**0.5 * (1 - b) / (1 - a)
        x = towards * found.x0 + kept * x
        if i < len(levels) - 1:
            variance = torch.clamp((1 - b) / (1 - a) * (1 - alpha), min=1e-20)
            x = x + variance**0.5 * noise()
    return x


async def ddim(
    denoise: Denoise, x: Tensor, levels: Levels, noise: Noise, eta: float = 0.0
) -> Tensor:
    """Song et al. 2021 (2010.02502), equation 12; eta scales the sigma of equation 16.

    The order of operations is the paper's: folding the coefficients costs bits.
    """
    for i in range(len(levels)):
        a, b = levels.alpha_bar[i], levels.after[i]
        found = await denoise(x, i)
        variance = (1 - b) / (1 - a) * (1 - a / b)
        sigma = eta * variance**0.5
        left = torch.clamp(1 - b - sigma**2, min=0)  # rounding may pass 0 where a is next to none
        direction = left**0.5 * found.eps
        x = b**0.5 * found.x0 + direction
        if eta > 0:
            x = x + sigma * noise()
    return x


async def euler(denoise: Denoise, x: Tensor, levels: Levels, noise: Noise) -> Tensor:
    """Karras et al. 2022 (2206.00364), algorithm 1 without its correction, in sigma."""
    sigmas = levels.sigmas
    x = x * scale(sigmas[0])
    for i in range(len(levels)):
        slope = await _slope(denoise, x, i, sigmas)
        x = x + slope * (sigmas[i + 1] - sigmas[i])
    return x


async def heun(denoise: Denoise, x: Tensor, levels: Levels, noise: Noise) -> Tensor:
    """Karras et al. 2022, algorithm 1: each step is corrected by the slope at its end."""
    sigmas = levels.sigmas
    x = x * scale(sigmas[0])
    for i in range(len(levels)):
        step = sigmas[i + 1] - sigmas[i]
        slope = await _slope(denoise, x, i, sigmas)
        ahead = x + slope * step
        if i < len(levels) - 1:
            slope = (slope + await _slope(denoise, ahead, i + 1, sigmas)) / 2
            ahead = x + slope * step
        x = ahead
    return x


async def dpmpp_2m(denoise: Denoise, x: Tensor, levels: Levels, noise: Noise) -> Tensor:
    """DPM-Solver++(2M): Lu et al. 2022 (2211.01095), algorithm 2; lambda = -log sigma."""
    sigmas = levels.sigmas
    x = x * scale(sigmas[0])
    before: Tensor | None = None
    for i in range(len(levels)):
        x0 = (await denoise(x / scale(sigmas[i]), i)).x0
        h = sigmas[i].log() - sigmas[i + 1].log()
        if before is None or i == len(levels) - 1:
            estimate = x0
        else:
            ratio = (sigmas[i - 1].log() - sigmas[i].log()) / h
            estimate = (1 + 1 / (2 * ratio)) * x0 - before / (2 * ratio)
        x = sigmas[i + 1] / sigmas[i] * x - torch.expm1(-h) * estimate
        before = x0
    return x


async def _slope(denoise: Denoise, x: Tensor, i: int, sigmas: Tensor) -> Tensor:
    """dx/dsigma = (x - x0) / sigma at level i: Karras et al. 2022, equations 1 and 3."""
    found = await denoise(x / scale(sigmas[i]), i)
    return (x - found.x0) / sigmas[i]


def scale(sigma: Tensor) -> Tensor:
    """What x of the process is multiplied by to have noise of deviation sigma."""
    return (sigma**2 + 1) ** 0.5


SAMPLERS: dict[str, Sampler] = {
    "ddpm": ddpm,
    "ddim": ddim,
    "euler": euler,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
}


def evaluations(sampler: str, steps: int) -> int:
    """How often a sampler asks its net."""
    return 2 * steps - 1 if sampler == "heun" else steps
