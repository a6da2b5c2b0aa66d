"""Family `video_diffusion`: words to a loop of frames, by way of their latents (Ho et al. 2022)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact, Video
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_component, build_net, refuse_unknown_tensors
from models.clip.clip import CLIP, SHORT, Prompted
from models.clip.tokenizer import notes_of
from models.diffusion.denoiser import TICKS, Denoiser, Guidance, guidance_of
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.samplers import SAMPLERS, evaluations
from models.diffusion.timesteps import Spacing, timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.engine.noise import normal
from models.image.preprocessing import fitted
from models.nets.autoencoder import Autoencoder
from models.nets.unet import Guess, TextCondition
from models.nets.video_unet import VideoUNet
from models.params.video import FPS, VideoDiffusionParams
from models.video.postprocessing import Enlarging, filmed

NET = {"frames", "size", "unet"}
PARTS = ("clip", "guess", "autoencoder")
LOOKED_AT = 4  # frames of a preview


class VideoDiffusion:
    """A text tower, a guess of what is to be seen, a U-Net over the latents of frames, and a
    sampler of one's choice."""

    max_items = 32
    item_bytes = 256 * 2**20

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        header = checkpoint.header
        told: Mapping[str, Any] = header.process
        for role in PARTS:
            if role not in checkpoint.requires:
                raise CheckpointError(f"it needs no {role}, and can't work without one")
        net: Mapping[str, Any] = header.net
        if net.keys() != NET:
            raise CheckpointError(f"its net must have {', '.join(sorted(NET))} and nothing else")
        refuse_unknown_tensors(checkpoint.tensors, {"unet"})
        self.unet = build_component(VideoUNet, net["unet"], checkpoint.tensors, placement, "unet.")
        self.clip = CLIP(checkpoint.requires["clip"], placement)
        self.guess = build_net(Guess, checkpoint.requires["guess"], placement)
        self.autoencoder = build_net(Autoencoder, checkpoint.requires["autoencoder"], placement)
        try:
            self.process = NoiseSchedule.of(told)
            self.guidance = guidance_of(told)
            self.spacing: Spacing = told.get("spacing", "even")
            self.shared = shared_of(told)
            timesteps(self.process.alpha_bar, 1, self.spacing)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"its noise process can't be made: {error}") from None
        self.styles = header.labels
        self.shape = (self.unet.channels, self.unet.size, self.unet.size)
        self._check_shapes(net["size"])
        frame = torch.zeros(self.autoencoder.channels, *[self.autoencoder.size] * 2)
        self.enlarging = Enlarging.of(checkpoint, frame, placement)
        example = torch.zeros(int(net["frames"]), *self.shape)
        self.batched = self._functions(placement.dtype, example, frame)

    def _check_shapes(self, size: object) -> None:
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
        made: list[BatchedFn[Any]] = [self.clip.tell, self.expect, *self.predict.values()]
        return (*made, self.encode, self.decode, *self.enlarging.batched)

    def _predict(self, z: Tensor, ticks: Tensor, style: Tensor, *told: Tensor) -> Tensor:
        *words, expected = told
        said: Tensor = self.unet(z, ticks / TICKS, style, TextCondition(*words), expected)
        return said

    async def generate(
        self, params: VideoDiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        spacing: Spacing = "karras" if params.sampler == "heun" else self.spacing
        path = timesteps(self.process.alpha_bar, params.steps, spacing)
        count = evaluations(params.sampler, len(path))
        steps = 3 + count + (params.upscale > 1)
        guidance, notes = await self._guidance(params, inputs, steps)
        denoise = Denoiser(
            self.predict[len(guidance.cond[1])],
            self.process,
            path,
            guidance,
            shown=self._preview,
            count=count,
            before=2,
            after=steps - 2 - count,
        )
        start = clip_noise(rng, (params.frames, *self.shape), self.shared)
        z = await SAMPLERS[params.sampler](denoise, start, path, _no_noise)
        done = (3 + count, steps)
        frames = await gather(*(Step(self.decode, (frame,), done) for frame in z))
        clip = (torch.stack(frames) + 1) / 2
        return await filmed(params, clip, self.enlarging, (steps, steps), notes)

    async def _guidance(
        self, params: VideoDiffusionParams, inputs: Inputs, steps: int
    ) -> tuple[Guidance, tuple[str, ...]]:
        """What the net is told, and what it is told without the words; what to note of them."""
        read = self.clip.tokenizer.read_text(params.prompt, self.clip.context)
        free = self.clip.tokenizer.read_text(params.negative_prompt or "", self.clip.context)
        rows = (read.rows, free.rows)
        told = await gather(
            *(Step(self.clip.tell, (self.clip.tokens(r),), (1, steps)) for r in rows)
        )
        words = tuple(self.clip.prompted(r, t) for r, t in zip(rows, told, strict=True))
        number = self.styles.index(params.style) if params.style else self.unet.classes
        none = self.unet.classes if params.negative_prompt is None else number
        styles = (torch.tensor(number), torch.tensor(none))
        seen = await self._expected(inputs, words, styles, (2, steps))
        length = next(n for n in self.predict if n >= max(map(len, rows)))
        sides = [
            (style, *word.cut(length), picture)
            for style, word, picture in zip(styles, words, seen, strict=True)
        ]
        scale = self.guidance if params.guidance_scale is None else params.guidance_scale
        notes = notes_of(self.clip.context, read, free)
        return Guidance(sides[0], sides[1], scale), notes

    async def _expected(
        self,
        inputs: Inputs,
        words: tuple[Prompted, ...],
        styles: tuple[Tensor, ...],
        progress: tuple[int, int],
    ) -> tuple[Tensor, ...]:
        """A picture of what is to move, in latents: the one that was given, or a guess each."""
        if "init_image" in inputs:
            coder = self.autoencoder
            picture = fitted(inputs["init_image"], coder.channels, coder.size)
            given = await Step(self.encode, (picture * 2 - 1,), progress)
            return tuple(given for _ in words)
        pairs = zip(words, styles, strict=True)
        return await gather(*(Step(self.expect, (w.pooled, s), progress) for w, s in pairs))

    def _preview(self, z: Tensor) -> Video:
        """Some of the frames, decoded here and now: a preview is not promised to be repeatable."""
        weight = next(self.autoencoder.parameters())
        some = z[:: max(1, len(z) // LOOKED_AT)]
        frames = self.autoencoder.decode(some.to(weight.device, weight.dtype)).float().cpu()
        return Video((frames + 1) / 2, FPS)


def clip_noise(rng: torch.Generator, shape: tuple[int, ...], shared: float) -> Tensor:
    """Standard normal, (F, C, H, W), of which all frames have the part `shared` of the variance
    in common, as in training."""
    each, common = normal(rng, *shape), normal(rng, *shape[1:])
    noise: Tensor = shared**0.5 * common + (1 - shared) ** 0.5 * each
    return noise


def shared_of(told: Mapping[str, Any]) -> float:
    """Of a header's process. Raises ValueError out of 0 to 1."""
    shared = float(told.get("shared", 0.0))
    if not 0 <= shared <= 1:
        raise ValueError(f"shared must be between 0 and 1, not {shared}")
    return shared


def _no_noise() -> Tensor:
    raise TypeError("these samplers add no noise on the way")
