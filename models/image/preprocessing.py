"""A given picture brought to what a net takes, and pictures walked through one after another."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact, Frames, Image

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def fitted(picture: Artifact, channels: int, size: int) -> Tensor:
    """Its middle square as (channels, size, size) in [0, 1]; colour is weighed into grey."""
    return filled(picture, channels, size, size)


def filled(picture: Artifact, channels: int, height: int, width: int) -> Tensor:
    """The largest middle part of these proportions, as (channels, height, width) in [0, 1]."""
    if not isinstance(picture, Image):
        raise TypeError("init_image must be a picture")
    x = picture.pixels
    tall, wide = x.shape[1:]
    high = max(1, min(tall, wide * height // width))
    broad = max(1, min(wide, tall * width // height))
    top, left = (tall - high) // 2, (wide - broad) // 2
    x = x[:, top : top + high, left : left + broad]
    if channels == 1 and len(x) == 3:
        x = torch.sum(x * torch.tensor(LUMA)[:, None, None], 0, keepdim=True)
    x = x.expand(channels, -1, -1)[None]
    small = F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return small[0].clamp(0, 1)


def shown(
    pictures: tuple[Tensor, ...], walked: bool, notes: tuple[str, ...] = ()
) -> tuple[Artifact, ...]:
    """What a story returns: one picture, or all of a walk. What is noted twice is told once."""
    notes = tuple(dict.fromkeys(notes))
    return (Frames(torch.stack(pictures), notes) if walked else Image(pictures[0], notes),)
