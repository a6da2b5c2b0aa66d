"""What one story asks of a net that denoises: guided, counted, and shown on the way."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact
from models.diffusion.noise_schedule import Denoised, NoiseSchedule
from models.diffusion.samplers import SAMPLERS, Sampler, ddim, evaluations
from models.diffusion.timesteps import PLAIN, ScheduleEnds, Spacing, Timesteps, timesteps
from models.engine.batching import BatchedFn
from models.engine.flow import Step, gather
from models.engine.noise import normal
from models.params.diffusion import SampledParams

TICKS = 1000  # a time goes to the net as a whole number of these: half precision can't hold it

Progress = tuple[int, int]
"""Done, of: as a Step has it."""
X0Hook = Callable[[Tensor, int, Progress], Awaitable[Tensor]]
"""Changes the x0 that was found at a level, before the sampler sees it."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """What the net is told beside x and the time, and how far it is exaggerated.

    Ho and Salimans 2022 (2207.12598), equation 6, where w + 1 is our scale: 1 is told alone, 0
    is free alone, and each of the two costs one row.
    """

    cond: tuple[Tensor, ...]
    uncond: tuple[Tensor, ...]
    scale: float = 1.0


@dataclass(slots=True)
class Denoiser:
    """`denoise(x, level)` of a sampler: asks the net by rows of one function, whatever the scale,
    so that requests with any sampler, step count and guidance share a batch. Keeps the last x0."""

    predict: BatchedFn[Tensor]
    process: NoiseSchedule
    path: Timesteps
    guidance: Guidance
    shown: Callable[[Tensor], Artifact]
    count: int  # calls in all
    x0_hooks: Sequence[X0Hook] = ()  # one after another
    before: int = 0  # steps of the story that are not calls
    after: int = 0
    done: int = 0
    seen: Tensor | None = None
    _ticks: list[Tensor] = field(init=False)
    _signal: list[Tensor] = field(init=False)
    _noise: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._ticks = list((self.path.t * TICKS).round().long())
        self._signal, self._noise = list(self.path.signal), list(self.path.noise)

    async def __call__(self, x: Tensor, level: int) -> Denoised:
        self.done += 1
        progress = (self.before + self.done, self.before + self.count + self.after)
        said = await self._asked(x, self._ticks[level], progress)
        signal, noise = self._signal[level], self._noise[level]
        found = self.process.denoised(x, said, signal, noise)
        if self.x0_hooks:
            x0 = found.x0
            for hook in self.x0_hooks:
                x0 = await hook(x0, level, progress)
            x0 = x0.clamp(-1.0, 1.0) if self.process.clip else x0
            found = Denoised(x0, found.eps - signal * (x0 - found.x0) / noise)
        self.seen = found.x0
        return found

    async def _asked(self, x: Tensor, ticks: Tensor, progress: Progress) -> Tensor:
        preview: Any = None if self.seen is None else partial(self._picture, self.seen)
        guidance = self.guidance
        if guidance.scale in (0.0, 1.0):
            rest = guidance.cond if guidance.scale else guidance.uncond
            return await Step(self.predict, (x, ticks, *rest), progress, preview)
        told, free = await gather(
            Step(self.predict, (x, ticks, *guidance.cond), progress, preview),
            Step(self.predict, (x, ticks, *guidance.uncond), progress),
        )
        guided: Tensor = free + guidance.scale * (told - free)
        return guided

    def _picture(self, x0: Tensor, _: Tensor) -> Artifact:
        """The clean picture predicted a step ago: what there is to see before this is guided."""
        return self.shown(x0)


async def sampled(
    params: SampledParams, denoise: Denoiser, x: Tensor, rng: torch.Generator
) -> Tensor:
    """The clean x that a request's sampler comes to; x itself where no level is left to go."""
    if not len(denoise.path):
        return x
    sampler: Sampler = SAMPLERS[params.sampler]
    if params.sampler == "ddim" and params.eta is not None:
        sampler = partial(ddim, eta=params.eta)
    return await sampler(denoise, x, denoise.path, lambda: normal(rng, *x.shape))


def calls(params: SampledParams, path: Timesteps) -> int:
    """How often the net is asked on this path."""
    return evaluations(params.sampler, len(path))


def path_of(
    params: SampledParams, process: NoiseSchedule, spacing: Spacing, ends: ScheduleEnds = PLAIN
) -> Timesteps:
    """The levels that a request goes through: where it varies a picture, the last part of them."""
    # Heun's steps are of the second order in sigma: they want sigmas that fall as its paper's.
    chosen: Spacing = "karras" if params.sampler == "heun" else spacing
    path = timesteps(process.alpha_bar, params.steps, chosen, ends)
    if params.init_image is None:
        return path
    part = 0.5 if params.strength is None else params.strength
    return path.last(math.ceil(part * len(path)))


def noised(x0: Tensor, noise: Tensor, path: Timesteps) -> Tensor:
    """A picture at the first level of a path: Meng et al. 2022 (2108.01073), algorithm 1."""
    if not len(path):
        return x0
    a = path.alpha_bar[0]
    return a**0.5 * x0 + (1 - a) ** 0.5 * noise


def guidance_of(told: Mapping[str, Any]) -> float:
    """The scale of a checkpoint that none is asked for. Raises ValueError out of 1 to 20."""
    scale = float(told.get("guidance", 1.0))
    if not 1 <= scale <= 20:
        raise ValueError(f"guidance must be between 1 and 20, not {scale}")
    return scale
