"""Family `video_gan`: words, and a draw, to a clip in one step (Vondrick et al. 2016)."""

import torch
from torch import Tensor

from models.artifacts import Artifact
from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint, build_net
from models.clip.clip import CLIP
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.engine.noise import normal
from models.image.truncation import first_typical
from models.image.upscale import PictureUpscaler
from models.nets.video_gan import VideoGenerator
from models.params.video import POOL, VideoGANParams
from models.video.postprocessing import video_of

MOST = 4  # clips at once


def check_frames(header: Header, frames: int) -> None:
    """Its net makes one number of them, and nothing else may be asked for."""
    if header.limits.get("frames") != (frames, frames) or header.defaults.get("frames") != frames:
        raise CheckpointError(f"its net makes {frames} frames: its header must say so as the limit")


class VideoGAN:
    """Draws z from a normal, reads the text if its net takes one, and makes all frames at once."""

    max_items = 64
    item_bytes = 96 * 2**20

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.net = build_net(VideoGenerator, checkpoint, placement)
        check_frames(checkpoint.header, self.net.frames)
        self.clip = None
        if self.net.cond_dim:
            if "clip" not in checkpoint.requires:
                raise CheckpointError("its net takes text, but it requires no CLIP")
            self.clip = CLIP(checkpoint.requires["clip"], placement)
            if self.clip.embed != self.net.cond_dim:
                raise CheckpointError(
                    f"its net takes texts of {self.net.cond_dim} numbers, and its CLIP gives "
                    f"{self.clip.embed}"
                )
        example = (torch.zeros(self.net.latent), torch.zeros(self.net.cond_dim))
        self.film: BatchedFn[Tensor] = BatchedFn(
            self._film, example, pad_to=1, max_batch=MOST, dtype=placement.dtype
        )
        frame = torch.zeros(self.net.channels, self.net.size, self.net.size)
        self.upscaler = PictureUpscaler.of(checkpoint, frame, placement)
        readers = () if self.clip is None else (self.clip.encode,)
        self.batched = (*readers, self.film, *self.upscaler.batched)

    def _film(self, z: Tensor, text: Tensor) -> Tensor:
        x: Tensor = self.net(z, text)
        return (x.float() + 1) / 2  # (B, F, C, H, W), tanh's [-1, 1] to [0, 1]

    async def generate(
        self, params: VideoGANParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        steps = 1 + (self.clip is not None) + (params.upscale > 1) + (params.truncation is not None)
        text, notes = await self._encode_prompts(params, steps)
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

    async def _encode_prompts(
        self, params: VideoGANParams, steps: int
    ) -> tuple[Tensor, tuple[str, ...]]:
        """The words as one vector, and notes on those that were not read."""
        if self.clip is None:
            return torch.zeros(0), ()
        (prompt,), notes = await self.clip.encode_prompts([params.prompt], (1, steps))
        return prompt.pooled, notes
