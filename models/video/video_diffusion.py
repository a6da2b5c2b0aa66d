"""Family `video_diffusion`: words to a loop of frames, by way of their latents (Ho et al. 2022)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact, Video
from models.checkpoint.configs import VideoDiffusionNet, VideoProcess
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_component, build_net, refuse_unknown_tensors
from models.clip.clip import CLIP, SHORT, EncodedPrompt
from models.diffusion.denoiser import TICKS, Denoiser, Guidance, sample, spaced
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.samplers import evaluations
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.engine.noise import normal
from models.image.preprocessing import fitted
from models.image.upscale import PictureUpscaler
from models.nets.autoencoder import Autoencoder
from models.nets.unet import Guess, TextCondition
from models.nets.video_unet import VideoUNet
from models.params.video import FPS, VideoDiffusionParams
from models.video.first_frame import first_frame_hook
from models.video.postprocessing import video_of

COMPONENTS = ("clip", "guess", "autoencoder")
PREVIEWED = 4  # frames of a preview


class VideoDiffusion:
    """A text tower, a guess of what is to be seen, a U-Net over the latents of frames, and a
    sampler of one's choice."""

    max_items = 32
    item_bytes = 256 * 2**20

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        header = checkpoint.header
        for role in COMPONENTS:
            if role not in checkpoint.requires:
                raise CheckpointError(f"it needs no {role}, and can't work without one")
        net = VideoDiffusionNet.parse(header.net)
        refuse_unknown_tensors(checkpoint.tensors, {"unet"})
        self.unet = build_component(VideoUNet, net.unet, checkpoint.tensors, placement, "unet.")
        self.clip = CLIP(checkpoint.requires["clip"], placement)
        self.guess = build_net(Guess, checkpoint.requires["guess"], placement)
        self.autoencoder = build_net(Autoencoder, checkpoint.requires["autoencoder"], placement)
        self.process = VideoProcess.parse(header.process)
        self.schedule = NoiseSchedule.of(self.process)
        self.styles = header.labels
        self.shape = (self.unet.channels, self.unet.size, self.unet.size)
        self._check_shapes(net.size)
        frame = torch.zeros(self.autoencoder.channels, *[self.autoencoder.size] * 2)
        self.upscaler = PictureUpscaler.of(checkpoint, frame, placement)
        example = torch.zeros(net.frames, *self.shape)
        self.batched = self._functions(placement.dtype, example, frame)

    def _check_shapes(self, size: int) -> None:
        coder = self.autoencoder
        if len(self.styles) != self.unet.classes:
            raise CheckpointError(f"it has {len(self.styles)} styles, its net {self.unet.classes}")
        if self.shape != (coder.latent, coder.side, coder.side) or self.shape != self.guess.shape:
            raise CheckpointError("its U-Net, its guess and its autoencoder have other latents")
        if size != coder.size:
            raise CheckpointError(f"its net says {size} pixels, its autoencoder {coder.size}")

    def _functions(
        self, dtype: torch.dtype, clip: Tensor, frame: Tensor
    ) -> tuple[BatchedFn[Any], ...]:
        """All that its flows await."""
        goal, style = F.normalize(torch.ones(self.clip.embed), dim=0), torch.tensor(0)
        row = (clip, torch.tensor(500 * TICKS), style)
        self.predict: dict[int, BatchedFn[Tensor]] = {  # by the length that words are padded to
            length: BatchedFn(
                self._predict,
                (*row, torch.zeros(length, self.clip.width), torch.zeros(length), goal, clip[0]),
                pad_to=1,
                dtype=dtype,
            )
            for length in sorted({min(SHORT, self.clip.context), self.clip.context})
        }
        self.expect: BatchedFn[Tensor] = BatchedFn(self.guess, (goal, style), dtype=dtype)
        self.encode: BatchedFn[Tensor] = BatchedFn(
            self.autoencoder.encode, (frame,), pad_to=1, dtype=dtype, channels_last=True
        )
        self.decode: BatchedFn[Tensor] = BatchedFn(
            self.autoencoder.decode, (clip[0],), dtype=dtype, channels_last=True
        )
        functions: list[BatchedFn[Any]] = [self.clip.encode, self.expect, *self.predict.values()]
        return (*functions, self.encode, self.decode, *self.upscaler.batched)

    def _predict(self, z: Tensor, ticks: Tensor, style: Tensor, *condition: Tensor) -> Tensor:
        *text, expected = condition
        output: Tensor = self.unet(z, ticks / TICKS, style, TextCondition(*text), expected)
        return output

    async def generate(
        self, params: VideoDiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = spaced(self.schedule, params.sampler, params.steps)
        count = evaluations(params.sampler, len(path))
        steps = 3 + count + (params.upscale > 1)
        texts = [params.prompt, params.negative_prompt or ""]
        prompts, notes = await self.clip.encode_prompts(texts, (1, steps))
        length = next(n for n in self.predict if n >= max(p.length for p in prompts))
        guidance = await self._guidance(params, inputs, prompts, length, (2, steps))
        picture = guidance.cond[-1]
        hooks = [first_frame_hook(picture)] if "init_image" in inputs else []
        denoise = Denoiser(
            self.predict[length],
            self.schedule,
            path,
            guidance,
            preview=self._preview,
            count=count,
            x0_hooks=hooks,
            before=2,
            after=steps - 2 - count,
        )
        start = clip_noise(rng, (params.frames, *self.shape), self.process.shared)
        z = await sample(denoise, params.sampler, start, rng)
        done = (3 + count, steps)
        frames = await gather(*(Step(self.decode, (frame,), done) for frame in z))
        clip = (torch.stack(frames) + 1) / 2
        return await video_of(params, clip, self.upscaler, (steps, steps), notes)

    async def _guidance(
        self,
        params: VideoDiffusionParams,
        inputs: Inputs,
        prompts: tuple[EncodedPrompt, ...],
        length: int,
        progress: tuple[int, int],
    ) -> Guidance:
        none = torch.tensor(self.unet.classes)
        style = torch.tensor(self.styles.index(params.style)) if params.style else none
        styles = (style, none if params.negative_prompt is None else style)
        pictures = await self._expected(inputs, prompts, styles, progress)
        cond, uncond = (
            (style, *prompt.cut(length), picture)
            for style, prompt, picture in zip(styles, prompts, pictures, strict=True)
        )
        scale = self.process.guidance if params.guidance_scale is None else params.guidance_scale
        return Guidance(cond, uncond, scale)

    async def _expected(
        self,
        inputs: Inputs,
        prompts: tuple[EncodedPrompt, ...],
        styles: tuple[Tensor, ...],
        progress: tuple[int, int],
    ) -> tuple[Tensor, ...]:
        """The picture that is to move, as latents, for each prompt: the posted one, or a guess."""
        if "init_image" in inputs:
            coder = self.autoencoder
            picture = fitted(inputs["init_image"], coder.channels, coder.size)
            latent = await Step(self.encode, (picture * 2 - 1,), progress)
            return tuple(latent for _ in prompts)
        pairs = zip(prompts, styles, strict=True)
        return await gather(*(Step(self.expect, (p.pooled, s), progress) for p, s in pairs))

    def _preview(self, z: Tensor) -> Video:
        """Some of the frames, decoded here and now: a preview is not promised to be repeatable."""
        weight = next(self.autoencoder.parameters())
        some = z[:: max(1, len(z) // PREVIEWED)]
        frames = self.autoencoder.decode(some.to(weight.device, weight.dtype)).float().cpu()
        return Video((frames + 1) / 2, FPS)


def clip_noise(rng: torch.Generator, shape: tuple[int, ...], shared: float) -> Tensor:
    """Standard normal, (F, C, H, W), of which all frames have the part `shared` of the variance
    in common, as in training."""
    each, common = normal(rng, *shape), normal(rng, *shape[1:])
    noise: Tensor = shared**0.5 * common + (1 - shared) ** 0.5 * each
    return noise
