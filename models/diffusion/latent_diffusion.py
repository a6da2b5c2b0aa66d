"""Family `latent_diffusion`: words to a picture, by way of latents (Rombach et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact, Image
from models.checkpoint.header import GUIDE, CheckpointError
from models.checkpoint.weights import Checkpoint, build_component, build_net, refuse_unknown_tensors
from models.clip.clip import CLIP, SHORT, Prompted
from models.clip.tokenizer import notes_of
from models.diffusion.clip_guidance import ClipGuidance, ClipTarget, guide_of
from models.diffusion.denoiser import (
    TICKS,
    Denoiser,
    Guidance,
    Progress,
    calls,
    guidance_of,
    noised,
    path_of,
    sampled,
)
from models.diffusion.inpainting import Given
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.timesteps import Spacing, Timesteps, timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather, gather_flows
from models.engine.noise import normal, seeded, slerp, walk
from models.image.preprocessing import fitted, shown
from models.nets.autoencoder import Autoencoder
from models.nets.unet import TextCondition, UNet
from models.nets.upscaler import Upscaler
from models.params.diffusion import TextToImageParams

PARTS = {"autoencoder", "unet"}
ITEM_BYTES = 32 * 2**20  # without what CLIP holds where it leads
MOST = 12  # rows at once, as of every U-Net here


class LatentDiffusion:
    """A text tower, a U-Net over the latents of an autoencoder, and a sampler of one's choice."""

    max_items = 64

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        header, tensors = checkpoint.header, checkpoint.tensors
        net: Mapping[str, Any] = header.net
        told: Mapping[str, Any] = header.process
        if net.keys() != PARTS:
            raise CheckpointError(f"its net must have {', '.join(sorted(PARTS))} and nothing else")
        if "clip" not in checkpoint.requires:
            raise CheckpointError("it needs no CLIP, and so can't read")
        refuse_unknown_tensors(tensors, PARTS)
        self.unet = build_component(UNet, net["unet"], tensors, placement, "unet.")
        self.autoencoder = build_component(
            Autoencoder, net["autoencoder"], tensors, placement, "autoencoder."
        )
        self.clip = CLIP(checkpoint.requires["clip"], placement)
        self.upscaler = None
        if "upscaler" in checkpoint.requires:
            self.upscaler = build_net(Upscaler, checkpoint.requires["upscaler"], placement)
        try:
            self.process = NoiseSchedule.of(told)
            self.guidance = guidance_of(told)
            self.spacing: Spacing = told.get("spacing", "even")
            timesteps(self.process.alpha_bar, 1, self.spacing)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"its noise process can't be made: {error}") from None
        self.styles = header.labels
        self._check_shapes()
        self.shape = (self.unet.channels, self.unet.size, self.unet.size)
        given = guide_of(checkpoint, placement) if GUIDE in checkpoint.requires else None
        self.clip_guidance = ClipGuidance(
            given or self.clip, self.autoencoder.decode, torch.zeros(self.shape), placement
        )
        self.item_bytes = ITEM_BYTES + self.clip_guidance.item_bytes
        self.batched = self._functions(placement.dtype)

    def _check_shapes(self) -> None:
        unet, coder = self.unet, self.autoencoder
        if len(self.styles) != unet.classes:
            raise CheckpointError(f"it has {len(self.styles)} styles, its net {unet.classes}")
        if (unet.channels, unet.size) != (coder.latent, coder.side):
            raise CheckpointError("its U-Net and its autoencoder have latents of other shapes")

    def _functions(self, dtype: torch.dtype) -> tuple[BatchedFn[Any], ...]:
        """All that its flows await."""
        z, picture = torch.zeros(self.shape), torch.zeros(self._picture_shape)
        goal = F.normalize(torch.ones(self.clip.embed), dim=0)
        row = (z, torch.tensor(500 * TICKS), torch.tensor(self.unet.classes))
        self.predict: dict[int, BatchedFn[Tensor]] = {  # by the length that words are padded to
            length: BatchedFn(
                self._predict,
                (*row, torch.zeros(length, self.clip.width), torch.zeros(length), goal),
                max_batch=MOST,
                dtype=dtype,
                channels_last=True,
            )
            for length in sorted({min(SHORT, self.clip.context), self.clip.context})
        }
        self.encode: BatchedFn[Tensor] = BatchedFn(
            self.autoencoder.encode, (picture,), dtype=dtype, channels_last=True
        )
        self.decode: BatchedFn[Tensor] = BatchedFn(
            self.autoencoder.decode, (z,), dtype=dtype, channels_last=True
        )
        made: list[BatchedFn[Any]] = [self.clip.tell, *self.predict.values()]
        made += [self.encode, self.decode, *self.clip_guidance.batched]
        if self.upscaler is not None:
            self.enlarge: BatchedFn[Tensor] = BatchedFn(
                self.upscaler, (picture,), pad_to=1, dtype=dtype, channels_last=True
            )
            made.append(self.enlarge)
        return tuple(dict.fromkeys(made))  # whoever reads may lead as well

    @property
    def _picture_shape(self) -> tuple[int, int, int]:
        return (self.autoencoder.channels, self.autoencoder.size, self.autoencoder.size)

    def _predict(self, z: Tensor, ticks: Tensor, style: Tensor, *words: Tensor) -> Tensor:
        said: Tensor = self.unet(z, ticks / TICKS, style, TextCondition(*words))
        return said

    async def generate(
        self, params: TextToImageParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = path_of(params, self.process, self.spacing)
        steps = 2 + calls(params, path) + (params.upscale > 1)
        guidance, prompt, notes = await self._read(params, steps)
        clip_target = await self._clip_target(params, prompt, (1, steps))
        given = await self._given(params, inputs)
        noise = normal(rng, *self.shape)
        starts = [noise if given is None else noised(given.latent, noise, path)]
        if params.interpolate:
            end = normal(seeded(params.interpolate.to_seed), *self.shape)
            starts = walk(slerp, noise, end, params.interpolate.frames)
        fresh = rng.get_state()  # every frame of a walk meets the same fresh noise
        stories = [
            self._paint(params, _LatentRequest(path, guidance, clip_target, given, steps), x, fresh)
            for x in starts
        ]
        pictures = await gather_flows(*stories)
        notes += () if clip_target is None else clip_target.notes
        return shown(pictures, params.interpolate is not None, notes)

    async def _read(
        self, params: TextToImageParams, steps: int
    ) -> tuple[Guidance, Prompted, tuple[str, ...]]:
        """What the net is told of the words, what the prompt was read as, and what to note."""
        read = self.clip.tokenizer.read_text(params.prompt, self.clip.context)
        free = self.clip.tokenizer.read_text(params.negative_prompt or "", self.clip.context)
        rows = (read.rows, free.rows)
        told = await gather(
            *(Step(self.clip.tell, (self.clip.tokens(r),), (1, steps)) for r in rows)
        )
        prompt, negative = (self.clip.prompted(r, t) for r, t in zip(rows, told, strict=True))
        length = next(n for n in self.predict if n >= max(map(len, rows)))
        number = self.styles.index(params.style) if params.style else self.unet.classes
        style, none = torch.tensor(number), torch.tensor(self.unet.classes)
        free_style = none if params.negative_prompt is None else style
        scale = self.guidance if params.guidance_scale is None else params.guidance_scale
        guidance = Guidance(
            (style, *prompt.cut(length)), (free_style, *negative.cut(length)), scale
        )
        return guidance, prompt, notes_of(self.clip.context, read, free)

    async def _clip_target(
        self, params: TextToImageParams, prompt: Prompted, progress: Progress
    ) -> ClipTarget | None:
        """Where CLIP leads: a prompt that it has read for the net is not read again."""
        scale = params.clip_guidance_scale
        if scale is None:
            return None
        if self.clip_guidance.clip is self.clip:
            return ClipTarget.of(params, scale, prompt.pooled)
        return ClipTarget.of(params, scale, *await self.clip_guidance.read(params.prompt, progress))

    async def _given(self, params: TextToImageParams, inputs: Inputs) -> Given | None:
        if params.init_image is None:
            return None
        channels, size, _ = self._picture_shape
        picture = fitted(inputs["init_image"], channels, size)
        latent = await Step(self.encode, (picture * 2 - 1,))
        return Given.of(picture, latent, inputs.get("mask"))

    async def _paint(
        self, params: TextToImageParams, work: "_LatentRequest", x: Tensor, fresh: Tensor
    ) -> Tensor:
        rng, chance = (torch.Generator().set_state(fresh) for _ in range(2))
        kept = () if work.given is None else work.given.x0_hooks
        denoise = Denoiser(
            self.predict[len(work.guidance.cond[1])],
            self.process,
            work.path,
            work.guidance,
            shown=self._preview,
            count=calls(params, work.path),
            x0_hooks=(*self.clip_guidance.x0_hooks(work.clip_target, work.path, chance), *kept),
            before=1,
            after=work.steps - 1 - calls(params, work.path),
        )
        z = await sampled(params, denoise, x, rng)
        done = work.steps - (params.upscale > 1)
        picture = (await Step(self.decode, (z,), (done, work.steps)) + 1) / 2
        if work.given is not None:
            picture = work.given.kept(picture)
        if params.upscale > 1:
            row = (picture.clamp(0, 1) * 2 - 1,)
            picture = (await Step(self.enlarge, row, (work.steps, work.steps)) + 1) / 2
        return picture

    def _preview(self, z: Tensor) -> Image:
        """Decoded here and now: a preview is no part of what is promised to be repeatable."""
        weight = next(self.autoencoder.parameters())
        picture = self.autoencoder.decode(z[None].to(weight.device, weight.dtype))[0]
        return Image((picture.float().cpu() + 1) / 2)


@dataclass(frozen=True, slots=True)
class _LatentRequest:
    """What all stories of a request share."""

    path: Timesteps
    guidance: Guidance
    clip_target: ClipTarget | None
    given: Given | None
    steps: int
