"""Family `latent_diffusion`: words to a picture, by way of latents (Rombach et al. 2022)."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact, Image
from models.checkpoint.configs import DiffusionProcess, LatentDiffusionNet
from models.checkpoint.header import GUIDE, CheckpointError
from models.checkpoint.weights import Checkpoint, build_component, refuse_unknown_tensors
from models.clip.clip import CLIP, SHORT, EncodedPrompt
from models.diffusion.clip_guidance import ClipGuidance, ClipTarget, guide_of
from models.diffusion.denoiser import TICKS, Guidance, Progress, calls, path_of
from models.diffusion.inpainting import InitImage
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.request import DiffusionRequest
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step
from models.image.preprocessing import fitted
from models.image.upscale import PictureUpscaler
from models.nets.autoencoder import Autoencoder
from models.nets.unet import TextCondition, UNet
from models.params.diffusion import TextToImageParams

ITEM_BYTES = 32 * 2**20  # without what CLIP holds where it guides
MOST = 12  # rows at once, as of every U-Net here


class LatentDiffusion:
    """A text tower, a U-Net over the latents of an autoencoder, and a choice of samplers."""

    max_items = 64

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        header, tensors = checkpoint.header, checkpoint.tensors
        net = LatentDiffusionNet.parse(header.net)
        if "clip" not in checkpoint.requires:
            raise CheckpointError("it needs no CLIP, and so can't read")
        refuse_unknown_tensors(tensors, LatentDiffusionNet.model_fields)
        self.unet = build_component(UNet, net.unet, tensors, placement, "unet.")
        self.autoencoder = build_component(
            Autoencoder, net.autoencoder, tensors, placement, "autoencoder."
        )
        self.clip = CLIP(checkpoint.requires["clip"], placement)
        picture = torch.zeros(self._picture_shape)
        self.upscaler = PictureUpscaler.of(checkpoint, picture, placement)
        self.process = DiffusionProcess.parse(header.process)
        self.schedule = NoiseSchedule.of(self.process)
        self.styles = header.labels
        self._check_shapes()
        self.shape = (self.unet.channels, self.unet.size, self.unet.size)
        guide = guide_of(checkpoint, placement) if GUIDE in checkpoint.requires else None
        self.clip_guidance = ClipGuidance(
            guide or self.clip, self.autoencoder.decode, torch.zeros(self.shape), placement
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
        functions: list[BatchedFn[Any]] = [self.clip.encode, *self.predict.values()]
        functions += [self.encode, self.decode, *self.clip_guidance.batched, *self.upscaler.batched]
        return tuple(dict.fromkeys(functions))  # the CLIP that reads may guide as well

    @property
    def _picture_shape(self) -> tuple[int, int, int]:
        return (self.autoencoder.channels, self.autoencoder.size, self.autoencoder.size)

    def _predict(self, z: Tensor, ticks: Tensor, style: Tensor, *text: Tensor) -> Tensor:
        output: Tensor = self.unet(z, ticks / TICKS, style, TextCondition(*text))
        return output

    async def generate(
        self, params: TextToImageParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = path_of(params, self.schedule)
        count, upscales = calls(params, path), params.upscale > 1
        steps = 2 + count + upscales
        texts = [params.prompt, params.negative_prompt or ""]
        prompts, notes = await self.clip.encode_prompts(texts, (1, steps))
        length = next(n for n in self.predict if n >= max(p.length for p in prompts))
        target = await self._clip_target(params, prompts[0], (1, steps))
        init = await self._init_image(params, inputs)
        request = DiffusionRequest(
            params,
            self.predict[length],
            self.schedule,
            path,
            self._guidance(params, prompts, length),
            preview=self._preview,
            decode=partial(self._decode, init, upscales, steps),
            before=1,
            after=1 + upscales,
            init=init,
            target=target,
        )
        return await request.run(self.shape, rng, notes)

    def _guidance(
        self, params: TextToImageParams, prompts: tuple[EncodedPrompt, ...], length: int
    ) -> Guidance:
        prompt, negative = prompts
        none = torch.tensor(self.unet.classes)
        style = torch.tensor(self.styles.index(params.style)) if params.style else none
        uncond_style = none if params.negative_prompt is None else style
        scale = self.process.guidance if params.guidance_scale is None else params.guidance_scale
        return Guidance((style, *prompt.cut(length)), (uncond_style, *negative.cut(length)), scale)

    async def _clip_target(
        self, params: TextToImageParams, prompt: EncodedPrompt, progress: Progress
    ) -> ClipTarget | None:
        """Where CLIP guides: a prompt that it has read for the net is not read again."""
        scale = params.clip_guidance_scale
        if scale is None:
            return None
        if self.clip_guidance.clip is self.clip:
            return self.clip_guidance.target(params, scale, prompt.pooled)
        return await self.clip_guidance.encode_target(params, params.prompt, scale, progress)

    async def _init_image(self, params: TextToImageParams, inputs: Inputs) -> InitImage | None:
        if params.init_image is None:
            return None
        channels, size, _ = self._picture_shape
        picture = fitted(inputs["init_image"], channels, size)
        latent = await Step(self.encode, (picture * 2 - 1,))
        return InitImage.of(picture, latent, inputs.get("mask"))

    async def _decode(
        self, init: InitImage | None, upscales: bool, steps: int, z: Tensor
    ) -> Tensor:
        picture = (await Step(self.decode, (z,), (steps - upscales, steps)) + 1) / 2
        if init is not None:
            picture = init.kept(picture)
        if upscales:
            (picture,) = await self.upscaler.upscale(picture[None], (steps, steps))
        return picture

    def _preview(self, z: Tensor) -> Image:
        """Decoded here and now: a preview is no part of what is promised to be repeatable."""
        weight = next(self.autoencoder.parameters())
        picture = self.autoencoder.decode(z[None].to(weight.device, weight.dtype))[0]
        return Image((picture.float().cpu() + 1) / 2)
