"""A net that denoises, as one request calls it: guided, counted, and previewed on the way."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact
from models.checkpoint.configs import Spacing
from models.diffusion.noise_schedule import Denoised, NoiseSchedule
from models.diffusion.samplers import SAMPLERS, Sampler, ddim, evaluations
from models.diffusion.timesteps import PLAIN, ScheduleEnds, Timesteps, timesteps
from models.engine.batching import BatchedFn
from models.engine.flow import Step, gather
from models.engine.noise import normal
from models.params.diffusion import SampledParams

TICKS = 1000  # a time goes to the net as a whole number of these: half precision can't hold it

Progress = tuple[int, int]
"""Steps done, and steps in all."""
X0Hook = Callable[[Tensor, int, Progress], Awaitable[Tensor]]
"""Changes the x0 predicted at a level, before the sampler sees it."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """Classifier-free guidance: what the net is given beside x and the time, and the scale.

    Ho and Salimans 2022 (2207.12598), equation 6, where w + 1 is our scale: 1 is `cond` alone, 0
    is `uncond` alone, and each of the two costs one row.
    """

    cond: tuple[Tensor, ...]
    uncond: tuple[Tensor, ...]
    scale: float = 1.0


@dataclass(slots=True)
class Denoiser:
    """`denoise(x, level)` of a sampler: calls the net by rows of one function, whatever the scale,
    so that requests with any sampler, step count and guidance share a batch. Keeps the last x0."""

    predict: BatchedFn[Tensor]
    schedule: NoiseSchedule
    path: Timesteps
    guidance: Guidance
    preview: Callable[[Tensor], Artifact]
    count: int  # calls in all
    x0_hooks: Sequence[X0Hook] = ()  # one after another
    before: int = 0  # steps of the request that are not calls
    after: int = 0
    done: int = 0
    last_x0: Tensor | None = None
    _ticks: list[Tensor] = field(init=False)
    _signal: list[Tensor] = field(init=False)
    _noise: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._ticks = list((self.path.t * TICKS).round().long())
        self._signal, self._noise = list(self.path.signal), list(self.path.noise)

    async def __call__(self, x: Tensor, level: int) -> Denoised:
        self.done += 1
        progress = (self.before + self.done, self.before + self.count + self.after)
        output = await self._predict(x, self._ticks[level], progress)
        signal, noise = self._signal[level], self._noise[level]
        result = self.schedule.denoised(x, output, signal, noise)
        if self.x0_hooks:
            x0 = result.x0
            for hook in self.x0_hooks:
                x0 = await hook(x0, level, progress)
            x0 = x0.clamp(-1.0, 1.0) if self.schedule.clip else x0
            result = Denoised(x0, result.eps - signal * (x0 - result.x0) / noise)
        self.last_x0 = result.x0
        return result

    async def _predict(self, x: Tensor, ticks: Tensor, progress: Progress) -> Tensor:
        preview: Any = None if self.last_x0 is None else partial(self._preview, self.last_x0)
        guidance = self.guidance
        if guidance.scale in (0.0, 1.0):
            condition = guidance.cond if guidance.scale else guidance.uncond
            return await Step(self.predict, (x, ticks, *condition), progress, preview)
        cond, uncond = await gather(
            Step(self.predict, (x, ticks, *guidance.cond), progress, preview),
            Step(self.predict, (x, ticks, *guidance.uncond), progress),
        )
        guided: Tensor = uncond + guidance.scale * (cond - uncond)
        return guided

    def _preview(self, x0: Tensor, _: Tensor) -> Artifact:
        """The clean picture predicted a step ago: what there is to see before this is guided."""
        return self.preview(x0)


async def sample(
    denoise: Denoiser, sampler: str, x: Tensor, rng: torch.Generator, eta: float | None = None
) -> Tensor:
    """The clean x that a sampler comes to; x itself where no level is left to go."""
    if not len(denoise.path):
        return x
    run: Sampler = SAMPLERS[sampler]
    if sampler == "ddim" and eta is not None:
        run = partial(ddim, eta=eta)
    return await run(denoise, x, denoise.path, lambda: normal(rng, *x.shape))


def calls(params: SampledParams, path: Timesteps) -> int:
    """How often the net is called on this path."""
    return evaluations(params.sampler, len(path))


def spaced(
    schedule: NoiseSchedule, sampler: str, steps: int, ends: ScheduleEnds = PLAIN
) -> Timesteps:
    """The levels that a sampler goes through in so many steps."""
    # Heun's steps are of the second order in sigma: they want sigmas that fall as its paper's.
    spacing: Spacing = "karras" if sampler == "heun" else schedule.spacing
    return timesteps(schedule.alpha_bar, steps, spacing, ends)


def path_of(
    params: SampledParams, schedule: NoiseSchedule, ends: ScheduleEnds = PLAIN
) -> Timesteps:
    """The levels that a request goes through: where it varies a picture, the last of them."""
    path = spaced(schedule, params.sampler, params.steps, ends)
    if params.init_image is None:
        return path
    return path.last(math.ceil(params.used_strength * len(path)))


def noised(x0: Tensor, noise: Tensor, path: Timesteps) -> Tensor:
    """A picture at the first level of a path: Meng et al. 2022 (2108.01073), algorithm 1."""
    if not len(path):
        return x0
    a = path.alpha_bar[0]
    return a**0.5 * x0 + (1 - a) ** 0.5 * noise
