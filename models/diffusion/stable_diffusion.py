"""Family `stable_diffusion`: Stable Diffusion 1.x and 2.x, in any size (Rombach et al. 2022).

The nets are diffusers' and transformers'; the loop, the samplers and the batches are ours.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.checkpoint.configs import StableDiffusionProcess
from models.checkpoint.weights import Checkpoint
from models.diffusion.clip_guidance import ClipGuidance, ClipTarget, guide_of
from models.diffusion.denoiser import TICKS, Guidance, Progress, calls, path_of
from models.diffusion.inpainting import InitImage
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.request import DiffusionRequest
from models.diffusion.stable_diffusion_nets import Nets
from models.diffusion.timesteps import ScheduleEnds, Timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.image.preprocessing import filled
from models.params.diffusion import AREA, StableDiffusionParams

MAPS = 3  # of the largest size, that decoding holds at once: measured at 512 by 512 in float32
GUIDED_MAPS = 22  # the same, of the gradient through it: measured at 256 by 256
SMALL = 16  # latents a side of an example whose rows run one at a time: it proves as much


class StableDiffusion:
    """Reads a prompt, takes noise to latents with any sampler, and decodes them."""

    max_items = 64

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.nets = Nets(checkpoint, placement)
        self.process = StableDiffusionProcess.parse(checkpoint.header.process)
        self.schedule = NoiseSchedule.of(self.process)
        self.size = self.nets.size
        guide = guide_of(checkpoint, placement)
        self.clip_guidance = None
        if guide is not None:
            z = self._zeros(*self._small)
            self.clip_guidance = ClipGuidance(guide, self.nets.decode, z, placement, pad_to=1)
        maps = MAPS if self.clip_guidance is None else GUIDED_MAPS
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
        states = torch.zeros(self.nets.tokenizer.context, self.nets.width)
        tokens = self.nets.tokenizer.encode("").tokens
        self.tell: BatchedFn[Tensor] = BatchedFn(
            self.nets.tell, (tokens,), pad_to=2, dtype=placement.dtype
        )
        self.predict: BatchedFn[Tensor] = BatchedFn(
            self._predict,
            (z, torch.tensor(500 * TICKS), states),
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

    def _predict(self, z: Tensor, ticks: Tensor, states: Tensor) -> Tensor:
        return self.nets.predict(z, ticks / TICKS, states)

    async def generate(
        self, params: StableDiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = self._path(params)
        steps = 2 + calls(params, path)
        size = (params.height or self.size[0], params.width or self.size[1])
        guidance, notes = await self._encode_prompts(params, steps)
        target = await self._clip_target(params, (1, steps))
        init = await self._init_image(params, inputs, size)
        request = DiffusionRequest(
            params,
            self.predict,
            self.schedule,
            path,
            guidance,
            preview=self._preview,
            decode=partial(self._decode, init, steps),
            before=1,
            after=1,
            init=init,
            target=target,
        )
        return await request.run(self._shape(*size), rng, notes)

    def _path(self, params: StableDiffusionParams) -> Timesteps:
        """As diffusers' schedulers have it: of these, DDIM's alone may end short of the picture."""
        short = params.sampler == "ddim" and not self.process.to_one
        final = self.schedule.alpha_bar[0].item() if short else 1.0
        return path_of(params, self.schedule, ScheduleEnds(self.process.offset, final))

    async def _encode_prompts(
        self, params: StableDiffusionParams, steps: int
    ) -> tuple[Guidance, tuple[str, ...]]:
        """What the net is given of the words, and notes on those that were not read."""
        tokenizer = self.nets.tokenizer
        texts = [tokenizer.encode(t) for t in (params.prompt, params.negative_prompt or "")]
        cond, uncond = await gather(*(Step(self.tell, (t.tokens,), (1, steps)) for t in texts))
        beyond = f"beyond the {tokenizer.context} tokens that are read"
        notes = tuple(f"{beyond}: {text.beyond}" for text in texts if text.beyond)
        return Guidance((cond,), (uncond,), params.guidance_scale), notes

    async def _clip_target(
        self, params: StableDiffusionParams, progress: Progress
    ) -> ClipTarget | None:
        scale = params.clip_guidance_scale
        if self.clip_guidance is None or scale is None:
            return None
        return await self.clip_guidance.encode_target(params, params.prompt, scale, progress)

    async def _init_image(
        self, params: StableDiffusionParams, inputs: Inputs, size: tuple[int, int]
    ) -> InitImage | None:
        if params.init_image is None:
            return None
        picture = filled(inputs["init_image"], 3, *size)
        latent = await Step(self.encode, (picture * 2 - 1,))
        return InitImage.of(picture, latent, inputs.get("mask"))

    async def _decode(self, init: InitImage | None, steps: int, z: Tensor) -> Tensor:
        picture: Tensor = (await Step(self.decode, (z,), (steps, steps)) + 1) / 2
        return picture if init is None else init.kept(picture)

    def _preview(self, z: Tensor) -> Image:
        return Image((self.nets.preview(z) + 1) / 2)
