"""Samples a denoising net in a few deterministic steps."""

from collections.abc import Callable

import torch
from torch import Tensor

from models.diffusion.noise_schedule import Denoised, NoiseSchedule
from models.diffusion.samplers import ddim
from models.diffusion.timesteps import timesteps

STEPS = 20


@torch.no_grad()
def sketched(process: NoiseSchedule, x: Tensor, ask: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """From noise x (B, ...) to the clean x by DDIM; `ask` gives the prediction of x at t (B,)."""
    path = timesteps(process.alpha_bar, min(STEPS, len(process.alpha_bar)))

    async def denoise(x: Tensor, level: int) -> Denoised:
        when = torch.full((len(x),), float(path.t[level]), device=x.device)
        return process.denoised(x, ask(x, when).float(), path.signal[level], path.noise[level])

    story = ddim(denoise, x, path, lambda: torch.zeros_like(x))
    try:
        story.send(None)
    except StopIteration as end:
        x0: Tensor = end.value
        return x0
    raise TypeError("a net that trains is asked at once: nothing is awaited")
