"""One diffusion request: from noise, or from a picture, to the pictures that it asks for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.artifacts import Artifact
from models.diffusion.clip_guidance import ClipTarget
from models.diffusion.denoiser import Denoiser, Guidance, X0Hook, noised, sample
from models.diffusion.inpainting import InitImage
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.samplers import evaluations
from models.diffusion.timesteps import Timesteps
from models.engine.batching import BatchedFn
from models.engine.flow import gather_flows
from models.engine.noise import normal, seeded, slerp, walk
from models.image.preprocessing import shown
from models.params.diffusion import SampledParams


@dataclass(frozen=True, slots=True)
class DiffusionRequest:
    """What all pictures of one request share."""

    params: SampledParams
    predict: BatchedFn[Tensor]
    schedule: NoiseSchedule
    path: Timesteps
    guidance: Guidance
    preview: Callable[[Tensor], Artifact]
    decode: Callable[[Tensor], Awaitable[Tensor]]
    """A clean x to a picture (C, H, W) in [0, 1]."""
    before: int = 0
    """Steps of the request before the net's calls."""
    after: int = 0
    init: InitImage | None = None
    target: ClipTarget | None = None

    async def run(
        self, shape: tuple[int, ...], rng: torch.Generator, notes: tuple[str, ...] = ()
    ) -> tuple[Artifact, ...]:
        """One picture, or the frames of a walk. `shape` is that of x."""
        noise, interpolate = normal(rng, *shape), self.params.interpolate
        starts = [noise if self.init is None else noised(self.init.latent, noise, self.path)]
        if interpolate:
            end = normal(seeded(interpolate.to_seed), *shape)
            starts = walk(slerp, noise, end, interpolate.frames)
        fresh = rng.get_state()  # every frame of a walk meets the same fresh noise
        pictures = await gather_flows(*(self._picture(x, fresh) for x in starts))
        notes += () if self.target is None else self.target.notes
        return shown(pictures, interpolate is not None, notes)

    async def _picture(self, x: Tensor, fresh: Tensor) -> Tensor:
        rng, cutouts = (torch.Generator().set_state(fresh) for _ in range(2))
        hooks: list[X0Hook] = [] if self.target is None else [self.target.hook(self.path, cutouts)]
        hooks += () if self.init is None else self.init.x0_hooks
        params = self.params
        denoise = Denoiser(
            self.predict,
            self.schedule,
            self.path,
            self.guidance,
            preview=self.preview,
            count=evaluations(params.sampler, len(self.path)),
            x0_hooks=hooks,
            before=self.before,
            after=self.after,
        )
        return await self.decode(await sample(denoise, params.sampler, x, rng, params.eta))
