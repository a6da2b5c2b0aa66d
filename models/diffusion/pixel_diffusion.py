"""Family `diffusion`: noise to a picture, a step at a time (Ho et al. 2020; Song et al. 2021)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_net
from models.diffusion.clip_guidance import ClipGuidance, Lead, leader_of, own_scale
from models.diffusion.denoiser import (
    TICKS,
    Denoiser,
    Guidance,
    Mend,
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

    def __init__(self, checkpoint: Checkpoint, place: Placement) -> None:
        self.net = build_net(UNet, checkpoint, place)
        told: Mapping[str, Any] = checkpoint.header.process
        try:
            self.process = NoiseSchedule.of(told)
            self.guidance = guidance_of(told)
            self.spacing: Spacing = told.get("spacing", "even")
            self.own = own_scale(told)
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
            self._predict, example, most=MOST, dtype=place.dtype, channels_last=True
        )
        self.guide = self._guide(checkpoint, place)
        self.batched = (self.predict, *(self.guide.batched if self.guide else ()))
        self.item_bytes = ITEM_BYTES + (self.guide.item_bytes if self.guide else 0)

    def _guide(self, checkpoint: Checkpoint, place: Placement) -> ClipGuidance | None:
        clip = leader_of(checkpoint, place)
        if clip is None:
            return None
        if self.net.channels not in (1, 3):
            raise CheckpointError(f"CLIP sees no pictures of {self.net.channels} channels")
        return ClipGuidance(clip, _as_it_is, torch.zeros(self.shape), place)

    def _predict(self, x: Tensor, ticks: Tensor, label: Tensor) -> Tensor:
        said: Tensor = self.net(x, ticks / TICKS, label)
        return said

    async def generate(
        self, params: DiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = path_of(params, self.process, self.spacing)
        lead = await self._lead(params, path)
        noise = normal(rng, *self.shape)
        if params.init_image is not None:
            picture = fitted(inputs["init_image"], *self.shape[:2])
            noise = noised(picture * 2 - 1, noise, path)
        starts = [noise]
        if params.interpolate:
            end = normal(seeded(params.interpolate.to_seed), *self.shape)
            starts = walk(slerp, noise, end, params.interpolate.frames)
        fresh = rng.get_state()  # every frame of a walk meets the same fresh noise
        stories = [self._draw(params, path, lead, x, fresh) for x in starts]
        pictures = tuple(_shown(x) for x in await gather_flows(*stories))
        notes = () if lead is None else lead.notes
        return shown(pictures, params.interpolate is not None, notes)

    async def _lead(self, params: DiffusionParams, path: Timesteps) -> Lead | None:
        if self.guide is None or params.prompt is None:
            return None
        goal, notes = await self.guide.read(params.prompt, (1, 1 + calls(params, path)))
        return Lead.of(params, params.clip_guidance_scale or self.own, goal, notes)

    async def _draw(
        self, params: DiffusionParams, path: Timesteps, lead: Lead | None, x: Tensor, fresh: Tensor
    ) -> Tensor:
        rng, chance = (torch.Generator().set_state(fresh) for _ in range(2))
        mends = self.guide.mends(lead, path, chance) if self.guide else ()
        return await sampled(params, self._denoiser(params, path, mends), x, rng)

    def _denoiser(
        self, params: DiffusionParams, path: Timesteps, mends: Sequence[Mend]
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
            mends=mends,
            before=int(params.prompt is not None),
        )


def _as_it_is(x0: Tensor) -> Tensor:
    return x0


def _shown(x0: Tensor) -> Tensor:
    return (x0 + 1) / 2
