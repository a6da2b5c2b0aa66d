"""Family `stable_diffusion`: Stable Diffusion 1.x and 2.x, in any size (Rombach et al. 2022).

The nets are diffusers' and transformers'; the loop, the samplers and the batches are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint
from models.diffusion.clip_guidance import ClipGuidance, ClipTarget, guide_of
from models.diffusion.denoiser import (
    TICKS,
    Denoiser,
    Guidance,
    Progress,
    calls,
    noised,
    path_of,
    sampled,
)
from models.diffusion.inpainting import Given
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.stable_diffusion_nets import Nets
from models.diffusion.timesteps import ScheduleEnds, Spacing, Timesteps, timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather, gather_flows
from models.engine.noise import normal, seeded, slerp, walk
from models.image.preprocessing import filled, shown
from models.params.diffusion import AREA, StableDiffusionParams

MAPS = 3  # of the largest size, that decoding holds at once: measured at 512 by 512 in float32
LED_MAPS = 22  # the same, of the gradient through it: measured at 256 by 256
SMALL = 16  # latents a side of an example whose rows run one at a time: it proves as much


class StableDiffusion:
    """Reads a prompt, takes noise to latents with any sampler, and decodes them."""

    max_items = 64

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.nets = Nets(checkpoint, placement)
        told: Mapping[str, Any] = checkpoint.header.process
        try:
            self.process = NoiseSchedule.of(told)
            self.spacing: Spacing = told.get("spacing", "leading")
            self.offset, self.to_one = int(told.get("offset", 0)), bool(told.get("to_one", True))
            timesteps(self.process.alpha_bar, 1, self.spacing, ScheduleEnds(self.offset))
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"its noise process can't be made: {error}") from None
        self.size = self.nets.size
        leader = guide_of(checkpoint, placement)
        self.clip_guidance = None
        if leader is not None:
            z = self._zeros(*self._small)
            self.clip_guidance = ClipGuidance(leader, self.nets.decode, z, placement, pad_to=1)
        maps = MAPS if self.clip_guidance is None else LED_MAPS
        self.item_bytes = maps * self.nets.widest * AREA * placement.dtype.itemsize
        self.item_bytes += self.clip_guidance.item_bytes if self.clip_guidance else 0
        self.batched = self._functions(placement)

    def _functions(self, placement: Placement) -> tuple[BatchedFn[Any], ...]:
        """All that its flows await, each for rows of any size.

        A step of a guided request is two rows, so that is what a batch is padded to. More at once
        only help a CUDA device: on a processor, in the shapes of 1.5, a row took as long in any
        batch, and those of three or four gave other bits.
        """
        most = 8 if placement.device.type == "cuda" else None
        z, small = self._zeros(*self.size), self._zeros(*self._small)
        words = torch.zeros(self.nets.tokenizer.context, self.nets.width)
        tokens = self.nets.tokenizer.read("").tokens
        self.tell: BatchedFn[Tensor] = BatchedFn(
            self.nets.tell, (tokens,), pad_to=2, dtype=placement.dtype
        )
        self.predict: BatchedFn[Tensor] = BatchedFn(
            self._predict,
            (z, torch.tensor(500 * TICKS), words),
            pad_to=2,
            max_batch=most,
            dtype=placement.dtype,
            channels_last=True,
        )
        self.encode: BatchedFn[Tensor] = BatchedFn(
            self.nets.encode,
            (torch.zeros(3, *self._small),),
            pad_to=1,
            dtype=placement.dtype,
            channels_last=True,
        )
        self.decode: BatchedFn[Tensor] = BatchedFn(
            self.nets.decode, (small,), pad_to=1, dtype=placement.dtype, channels_last=True
        )
        guided = self.clip_guidance.batched if self.clip_guidance else ()
        return (self.tell, self.predict, self.encode, self.decode, *guided)

    @property
    def _small(self) -> tuple[int, int]:
        height, width = (min(side, SMALL * self.nets.factor) for side in self.size)
        return height, width

    def _zeros(self, height: int, width: int) -> Tensor:
        """Latents of a picture of this size."""
        return torch.zeros(self._shape(height, width))

    def _shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.nets.channels, height // self.nets.factor, width // self.nets.factor

    def _predict(self, z: Tensor, ticks: Tensor, words: Tensor) -> Tensor:
        return self.nets.predict(z, ticks / TICKS, words)

    async def generate(
        self, params: StableDiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = self._path(params)
        steps = 2 + calls(params, path)
        size = (params.height or self.size[0], params.width or self.size[1])
        guidance, notes = await self._read(params, steps)
        clip_target = await self._clip_target(params, (1, steps))
        given = await self._given(params, inputs, size)
        noise = normal(rng, *self._shape(*size))
        starts = [noise if given is None else noised(given.latent, noise, path)]
        if params.interpolate:
            end = normal(seeded(params.interpolate.to_seed), *self._shape(*size))
            starts = walk(slerp, noise, end, params.interpolate.frames)
        fresh = rng.get_state()  # every frame of a walk meets the same fresh noise
        work = _StableDiffusionRequest(path, guidance, clip_target, given, steps)
        pictures = await gather_flows(*(self._paint(params, work, x, fresh) for x in starts))
        notes += () if clip_target is None else clip_target.notes
        return shown(pictures, params.interpolate is not None, notes)

    def _path(self, params: StableDiffusionParams) -> Timesteps:
        """As diffusers' schedulers have it: of these, DDIM's alone may end short of the picture."""
        bars = self.process.alpha_bar
        short = params.sampler == "ddim" and not self.to_one
        ends = ScheduleEnds(self.offset, bars[0].item() if short else 1.0)
        return path_of(params, self.process, self.spacing, ends)

    async def _read(
        self, params: StableDiffusionParams, steps: int
    ) -> tuple[Guidance, tuple[str, ...]]:
        """What the net is told of the words, and what should be noted."""
        read = [self.nets.tokenizer.read(t) for t in (params.prompt, params.negative_prompt or "")]
        told = await gather(*(Step(self.tell, (r.tokens,), (1, steps)) for r in read))
        count = self.nets.tokenizer.context
        notes = tuple(
            f"beyond the {count} tokens that are read: {r.beyond}" for r in read if r.beyond
        )
        return Guidance((told[0],), (told[1],), params.guidance_scale), notes

    async def _clip_target(
        self, params: StableDiffusionParams, progress: Progress
    ) -> ClipTarget | None:
        if self.clip_guidance is None or params.clip_guidance_scale is None:
            return None
        read = await self.clip_guidance.read(params.prompt, progress)
        return ClipTarget.of(params, params.clip_guidance_scale, *read)

    async def _given(
        self, params: StableDiffusionParams, inputs: Inputs, size: tuple[int, int]
    ) -> Given | None:
        if params.init_image is None:
            return None
        picture = filled(inputs["init_image"], 3, *size)
        latent = await Step(self.encode, (picture * 2 - 1,))
        return Given.of(picture, latent, inputs.get("mask"))

    async def _paint(
        self,
        params: StableDiffusionParams,
        work: "_StableDiffusionRequest",
        x: Tensor,
        fresh: Tensor,
    ) -> Tensor:
        rng, chance = (torch.Generator().set_state(fresh) for _ in range(2))
        guided = (
            self.clip_guidance.x0_hooks(work.clip_target, work.path, chance)
            if self.clip_guidance
            else ()
        )
        denoise = Denoiser(
            self.predict,
            self.process,
            work.path,
            work.guidance,
            shown=self._preview,
            count=calls(params, work.path),
            x0_hooks=(*guided, *(work.given.x0_hooks if work.given else ())),
            before=1,
            after=1,
        )
        z = await sampled(params, denoise, x, rng)
        picture: Tensor = (await Step(self.decode, (z,), (work.steps, work.steps)) + 1) / 2
        return picture if work.given is None else work.given.kept(picture)

    def _preview(self, z: Tensor) -> Image:
        return Image((self.nets.preview(z) + 1) / 2)


@dataclass(frozen=True, slots=True)
class _StableDiffusionRequest:
    """What all stories of a request share."""

    path: Timesteps
    guidance: Guidance
    clip_target: ClipTarget | None
    given: Given | None
    steps: int
