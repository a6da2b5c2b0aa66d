"""Samplers of diffusion models: pure functions that await what a net says of a noisy x.

Each takes `denoise(x, i)`, which tells x0 and eps of x at level i, the noise x to begin with, the
levels, and a source of fresh noise; it returns the clean picture. x is always at the scale of
the process, x = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps; those who think in sigmas rescale.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import torch
from torch import Tensor

from models.diffusion.noise_schedule import Denoised
from models.diffusion.timesteps import Timesteps

Denoise = Callable[[Tensor, int], Awaitable[Denoised]]
Noise = Callable[[], Tensor]
Sampler = Callable[[Denoise, Tensor, Timesteps, Noise], Coroutine[Any, Any, Tensor]]


async def ddpm(denoise: Denoise, x: Tensor, levels: Timesteps, noise: Noise) -> Tensor:
    """Ho et al. 2020 (2006.11239), algorithm 2, equation 7, with the smaller variance."""
    a, b = levels.alpha_bar, levels.after
    alpha = a / b
    towards = (b**0.5 * (1 - alpha)) / (1 - a)
    kept = alpha**0.5 * (1 - b) / (1 - a)
    sigma = torch.clamp((1 - b) / (1 - a) * (1 - alpha), min=1e-20) ** 0.5
    for i, (t, k, s) in enumerate(zip(towards, kept, sigma, strict=True)):
        x = t * (await denoise(x, i)).x0 + k * x
        if i < len(levels) - 1:
            x = x + s * noise()
    return x


async def ddim(
    denoise: Denoise, x: Tensor, levels: Timesteps, noise: Noise, eta: float = 0.0
) -> Tensor:
    """Song et al. 2021 (2010.02502), equation 12; eta scales the sigma of equation 16.

    The order of operations is the paper's: folding the coefficients costs bits.
    """
    a, b = levels.alpha_bar, levels.after
    sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)) ** 0.5
    left = torch.clamp(1 - b - sigma**2, min=0)  # rounding may pass 0 where a is next to none
    for i, (signal, along, s) in enumerate(zip(b**0.5, left**0.5, sigma, strict=True)):
        denoised = await denoise(x, i)
        x = signal * denoised.x0 + along * denoised.eps
        if eta > 0:
            x = x + s * noise()
    return x


async def euler(denoise: Denoise, x: Tensor, levels: Timesteps, noise: Noise) -> Tensor:
    """Karras et al. 2022 (2206.00364), algorithm 1 without its correction, in sigma."""
    slope, steps = slopes(denoise, levels), levels.sigmas.diff()
    x = x * scales(levels)[0]
    for i, step in enumerate(steps):
        x = x + await slope(x, i) * step
    return x


async def heun(denoise: Denoise, x: Tensor, levels: Timesteps, noise: Noise) -> Tensor:
    """Karras et al. 2022, algorithm 1: each step is corrected by the slope at its end."""
    slope, steps = slopes(denoise, levels), levels.sigmas.diff()
    x = x * scales(levels)[0]
    for i, step in enumerate(steps):
        here = await slope(x, i)
        ahead = x + here * step
        if i < len(levels) - 1:
            ahead = x + (here + await slope(ahead, i + 1)) / 2 * step
        x = ahead
    return x


async def dpmpp_2m(denoise: Denoise, x: Tensor, levels: Timesteps, noise: Noise) -> Tensor:
    """DPM-Solver++(2M): Lu et al. 2022 (2211.01095), algorithm 2; lambda = -log sigma."""
    sigmas, scale = levels.sigmas, list(scales(levels))
    h = -sigmas.log().diff()  # the last is infinite
    shrink, grow = list(sigmas[1:] / sigmas[:-1]), list(-torch.expm1(-h))
    twice = [0.0, *(2 * h[:-1] / h[1:]).tolist()]  # 2 r: the step before to this one, doubled
    x = x * scale[0]
    before: Tensor | None = None
    for i in range(len(levels)):
        x0 = (await denoise(x / scale[i], i)).x0
        second = before is not None and i < len(levels) - 1
        estimate = x0 + (x0 - before) / twice[i] if second and before is not None else x0
        x = shrink[i] * x + grow[i] * estimate
        before = x0
    return x


def slopes(denoise: Denoise, levels: Timesteps) -> Callable[[Tensor, int], Awaitable[Tensor]]:
    """dx/dsigma = (x - x0) / sigma at level i: Karras et al. 2022, equations 1 and 3."""
    sigmas, scale = list(levels.sigmas), list(scales(levels))

    async def slope(x: Tensor, i: int) -> Tensor:
        denoised = await denoise(x / scale[i], i)
        along: Tensor = (x - denoised.x0) / sigmas[i]
        return along

    return slope


def scales(levels: Timesteps) -> Tensor:
    """What x of the process is multiplied by to have noise of deviation sigma, (S,)."""
    return (levels.sigmas[:-1] ** 2 + 1) ** 0.5


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
