"""What a flow makes: raw arrays, checked when they are made, with no encoding."""

from dataclasses import dataclass

import torch
from torch import Tensor


class NotFinite(ValueError):
    """A model produced values that are not finite."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture: pixels (C, H, W) float32 in [0, 1], C of 1 (grey) or 3 (RGB)."""

    pixels: Tensor
    notes: tuple[str, ...] = ()  # what the client should know of how it was made

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[0] not in (1, 3):
            raise ValueError(f"pixels must be (1 or 3, H, W), got {tuple(self.pixels.shape)}")
        if not torch.isfinite(self.pixels).all():
            raise NotFinite("the model produced values that are not finite")


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Pictures in order, each a small change of the one before: pixels (F, C, H, W) in [0, 1]."""

    pixels: Tensor
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[1] not in (1, 3) or not len(self.pixels):
            raise ValueError(f"pixels must be (F, 1 or 3, H, W), got {tuple(self.pixels.shape)}")
        if not torch.isfinite(self.pixels).all():
            raise NotFinite("the model produced values that are not finite")


Artifact = Image | Frames
