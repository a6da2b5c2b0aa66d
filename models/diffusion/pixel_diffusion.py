"""Family `diffusion`: noise to a picture, a step at a time (Ho et al. 2020; Song et al. 2021)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_net
from models.diffusion.clip_guidance import ClipGuidance, ClipTarget, default_clip_scale, guide_of
from models.diffusion.denoiser import (
    TICKS,
    Denoiser,
    Guidance,
    X0Hook,
    calls,
    guidance_of,
    noised,
    path_of,
    sampled,
)
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.timesteps import Spacing, Timesteps, timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, gather_flows
from models.engine.noise import normal, seeded, slerp, walk
from models.image.preprocessing import fitted, shown
from models.nets.unet import UNet
from models.params.diffusion import DiffusionParams

ITEM_BYTES = 24 * 2**20  # without what CLIP holds where it leads
MOST = 12  # rows at once: in single precision, 16 were measured to give other bits than 4


class Diffusion:
    """A U-Net, its noise process, and a sampler of the request's choice.

    Guidance awaits two rows of the one function, with the label and without (Ho and Salimans
    2022, equation 6), so requests with any sampler, step count and guidance share a batch.
    """

    max_items = 64

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.net = build_net(UNet, checkpoint, placement)
        told: Mapping[str, Any] = checkpoint.header.process
        try:
            self.process = NoiseSchedule.of(told)
            self.guidance = guidance_of(told)
            self.spacing: Spacing = told.get("spacing", "even")
            self.own = default_clip_scale(told)
            timesteps(self.process.alpha_bar, 1, self.spacing)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"its noise process can't be made: {error}") from None
        self.labels = checkpoint.header.labels
        if len(self.labels) != self.net.classes:
            raise CheckpointError(
                f"it has {len(self.labels)} labels, and its net {self.net.classes} classes"
            )
        self.shape = (self.net.channels, self.net.size, self.net.size)
        none = torch.tensor(self.net.classes)
        example = (torch.zeros(self.shape), torch.tensor(500 * TICKS), none)
        self.predict: BatchedFn[Tensor] = BatchedFn(
            self._predict, example, max_batch=MOST, dtype=placement.dtype, channels_last=True
        )
        self.clip_guidance = self._guide(checkpoint, placement)
        self.batched = (self.predict, *(self.clip_guidance.batched if self.clip_guidance else ()))
        self.item_bytes = ITEM_BYTES + (self.clip_guidance.item_bytes if self.clip_guidance else 0)

    def _guide(self, checkpoint: Checkpoint, placement: Placement) -> ClipGuidance | None:
        clip = guide_of(checkpoint, placement)
        if clip is None:
            return None
        if self.net.channels not in (1, 3):
            raise CheckpointError(f"CLIP sees no pictures of {self.net.channels} channels")
        return ClipGuidance(clip, _as_it_is, torch.zeros(self.shape), placement)

    def _predict(self, x: Tensor, ticks: Tensor, label: Tensor) -> Tensor:
        said: Tensor = self.net(x, ticks / TICKS, label)
        return said

    async def generate(
        self, params: DiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = path_of(params, self.process, self.spacing)
        clip_target = await self._clip_target(params, path)
        noise = normal(rng, *self.shape)
        if params.init_image is not None:
            picture = fitted(inputs["init_image"], *self.shape[:2])
            noise = noised(picture * 2 - 1, noise, path)
        starts = [noise]
        if params.interpolate:
            end = normal(seeded(params.interpolate.to_seed), *self.shape)
            starts = walk(slerp, noise, end, params.interpolate.frames)
        fresh = rng.get_state()  # every frame of a walk meets the same fresh noise
        stories = [self._draw(params, path, clip_target, x, fresh) for x in starts]
        pictures = tuple(_shown(x) for x in await gather_flows(*stories))
        notes = () if clip_target is None else clip_target.notes
        return shown(pictures, params.interpolate is not None, notes)

    async def _clip_target(self, params: DiffusionParams, path: Timesteps) -> ClipTarget | None:
        if self.clip_guidance is None or params.prompt is None:
            return None
        goal, notes = await self.clip_guidance.read(params.prompt, (1, 1 + calls(params, path)))
        return ClipTarget.of(params, params.clip_guidance_scale or self.own, goal, notes)

    async def _draw(
        self,
        params: DiffusionParams,
        path: Timesteps,
        clip_target: ClipTarget | None,
        x: Tensor,
        fresh: Tensor,
    ) -> Tensor:
        rng, chance = (torch.Generator().set_state(fresh) for _ in range(2))
        x0_hooks = (
            self.clip_guidance.x0_hooks(clip_target, path, chance) if self.clip_guidance else ()
        )
        return await sampled(params, self._denoiser(params, path, x0_hooks), x, rng)

    def _denoiser(
        self, params: DiffusionParams, path: Timesteps, x0_hooks: Sequence[X0Hook]
    ) -> Denoiser:
        none, scale = torch.tensor(self.net.classes), 0.0
        label = none
        if params.class_label is not None:
            label = torch.tensor(self.labels.index(params.class_label))
            scale = self.guidance if params.guidance_scale is None else params.guidance_scale
        guidance = Guidance((label,), (none,), scale)
        return Denoiser(
            self.predict,
            self.process,
            path,
            guidance,
            shown=lambda x0: Image(_shown(x0)),
            count=calls(params, path),
            x0_hooks=x0_hooks,
            before=int(params.prompt is not None),
        )


def _as_it_is(x0: Tensor) -> Tensor:
    return x0


def _shown(x0: Tensor) -> Tensor:
    return (x0 + 1) / 2
