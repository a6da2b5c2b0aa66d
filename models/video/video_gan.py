"""Family `video_gan`: words, and a draw, to a clip in one step (Vondrick et al. 2016)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact
from models.checkpoint.configs import CLIP_SCALE
from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint, build_net
from models.clip.clip import CLIP
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.engine.noise import normal
from models.image.truncation import first_typical
from models.image.upscale import PictureUpscaler
from models.nets.autoencoder import Autoencoder
from models.nets.unet import Guess
from models.nets.video_gan import VideoGenerator
from models.params.video import POOL, VideoGANParams
from models.video.postprocessing import video_of

COMPONENTS = ("clip", "guess", "autoencoder")
MOST = 4  # clips at once


def check_frames(header: Header, frames: int) -> None:
    """Its net makes one number of them, and nothing else may be asked for."""
    if header.limits.get("frames") != (frames, frames) or header.defaults.get("frames") != frames:
        raise CheckpointError(f"its net makes {frames} frames: its header must say so as the limit")


class VideoGAN:
    """Draws z from a normal, reads the text, and makes the latents of all frames at once."""

    max_items = 64
    item_bytes = 96 * 2**20

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        for role in COMPONENTS:
            if role not in checkpoint.requires:
                raise CheckpointError(f"it needs no {role}, and can't work without one")
        self.net = build_net(VideoGenerator, checkpoint, placement)
        check_frames(checkpoint.header, self.net.frames)
        self.clip = CLIP(checkpoint.requires["clip"], placement)
        self.guess = build_net(Guess, checkpoint.requires["guess"], placement)
        self.autoencoder = build_net(Autoencoder, checkpoint.requires["autoencoder"], placement)
        self._check_shapes()
        goal = F.normalize(torch.ones(self.net.text_dim), dim=0)
        self.film: BatchedFn[Tensor] = BatchedFn(
            self.make_clips,
            (torch.zeros(self.net.latent), goal),
            pad_to=1,
            max_batch=MOST,
            dtype=placement.dtype,
        )
        frame = torch.zeros(self.autoencoder.channels, *[self.autoencoder.size] * 2)
        self.upscaler = PictureUpscaler.of(checkpoint, frame, placement)
        self.batched = (self.clip.encode, self.film, *self.upscaler.batched)

    def _check_shapes(self) -> None:
        net, coder = self.net, self.autoencoder
        if self.clip.embed != net.text_dim:
            raise CheckpointError(
                f"its net takes texts of {net.text_dim} numbers, and its CLIP gives "
                f"{self.clip.embed}"
            )
        shape = (net.channels, net.size, net.size)
        if shape != (coder.latent, coder.side, coder.side) or shape != self.guess.shape:
            raise CheckpointError("its net, its guess and its autoencoder have other latents")
        if coder.size != CLIP_SCALE * net.size:
            raise CheckpointError(
                f"its autoencoder makes {coder.size} pixels of {net.size} latents, not "
                f"{CLIP_SCALE * net.size}"
            )
        styles = self.guess.label.num_embeddings
        if not 0 <= net.style < styles:
            raise CheckpointError(f"its guess has no style {net.style}, only 0 to {styles - 1}")

    def make_clips(self, z: Tensor, text: Tensor) -> Tensor:
        """z (B, latent) and texts (B, text_dim) -> clips (B, F, C, H, W) in about [0, 1]."""
        cond = self.net.blur_text(z, text)
        expected = self.guess(cond, torch.full((len(z),), self.net.style, device=z.device))
        latents: Tensor = self.net(z, cond, expected)
        frames: Tensor = self.autoencoder.decode(latents.flatten(0, 1)).float()
        return (frames.view(*latents.shape[:2], *frames.shape[1:]) + 1) / 2

    async def generate(
        self, params: VideoGANParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        steps = 2 + (params.upscale > 1) + (params.truncation is not None)
        (prompt,), notes = await self.clip.encode_prompts([params.prompt], (1, steps))
        text = prompt.pooled
        done = steps - (params.upscale > 1)
        z = await self._latent(params, text, rng, (done - 1, steps))
        clip = await Step(self.film, (z, text), (done, steps))
        return await video_of(params, clip, self.upscaler, (steps, steps), notes)

    async def _latent(
        self, params: VideoGANParams, text: Tensor, rng: torch.Generator, progress: tuple[int, int]
    ) -> Tensor:
        """A draw: of many the first whose clip is typical, where that is asked for."""
        if params.truncation is None:
            return normal(rng, self.net.latent)
        pool = [normal(rng, self.net.latent) for _ in range(POOL)]
        clips = await gather(*(Step(self.film, (z, text), progress) for z in pool))
        return pool[first_typical(clips, params.truncation)]
