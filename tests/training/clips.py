"""Clips and words made up here, as small as the learners of video can take."""

import torch
from torch import Tensor

from training.learners.video.video_columns import encode_clips
from training.learners.video.video_texts import LONGEST, VideoTexts
from training.pretrained import load_autoencoder

TEXTS = 6


def clips(count: int, frames: int = 8, size: int = 32) -> Tensor:
    """A coloured square that goes round once, (N, F, 3, S, S) uint8, on white."""
    rng = torch.Generator().manual_seed(3)
    colour = torch.randint(0, 256, (count, 3, 1, 1), generator=rng, dtype=torch.uint8)
    x = torch.full((count, frames, 3, size, size), 255, dtype=torch.uint8)
    for frame in range(frames):
        at = (frame * size // frames) // 2
        x[:, frame, :, at : at + size // 4, size // 4 : size // 2] = colour
    return x


def latents(count: int) -> Tensor:
    """The same in latents, as they are and mirrored, (N, 2, F, 4, 8, 8)."""
    return encode_clips(load_autoencoder(), clips(count))


def texts(count: int, stills: int = 5) -> VideoTexts:
    """Words of width 16 as a tiny CLIP has them, and latents of stills of side 8."""
    rng = torch.Generator().manual_seed(4)
    pooled = torch.nn.functional.normalize(torch.randn(TEXTS, 16, generator=rng), dim=1)
    return VideoTexts(
        states=torch.randn(TEXTS, LONGEST, 16, generator=rng).half(),
        length=torch.arange(2, 2 + TEXTS),
        pooled=pooled.half(),
        clip_texts=(torch.arange(4 * count) % TEXTS).view(count, 4),
        stills=torch.randn(stills, 4, 8, 8, generator=rng).half(),
        still_style=torch.arange(stills) % 2,
        still_texts=(torch.arange(4 * stills) % TEXTS).view(stills, 4),
    )
