"""The U-Net of pictures, with layers between its blocks that look across the frames of a clip.

Singer et al. 2022 (2209.14792), section 3.2: a net that paints pictures is made to move by layers
over time which at first do nothing. Here time is a circle, for clips that loop: whatever frame a
clip begins with, the net says the same of it.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nets.activations import silu
from models.nets.unet import GROUPS, Stage, TextCondition, UNet

HEAD = 32  # channels
TURNS = 8  # the fastest of a head's pairs turns so often, less one, in a loop


class AcrossFrames(nn.Module):
    """Each place sees itself in the frames before and after, and then in all: (B F, C, H, W)."""

    def __init__(self, width: int, attends: bool) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.enter = nn.Linear(3 * width, width)
        self.leave = nn.Linear(3 * width, width)
        self.attention = FrameAttention(width) if attends else None

    def forward(self, x: Tensor, frames: int) -> Tensor:
        rows = silu(self.norm(x)).permute(0, 2, 3, 1)
        h = rows.reshape(-1, frames, *rows.shape[1:])  # (B, F, H, W, C)
        h = silu(self.enter(_neighbours(h)))
        x = x + self.leave(_neighbours(h)).flatten(0, 1).permute(0, 3, 1, 2)
        return x if self.attention is None else self.attention(x, frames)


class FrameAttention(nn.Module):
    """Every frame looks at every other, at one place.

    How far apart two frames are it knows by turned queries and keys (Su et al. 2021, 2104.09864),
    whole turns in a loop.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        _, width, high, wide = x.shape
        packed = self.project_in(self.norm(x).permute(0, 2, 3, 1))  # (B F, H, W, 3C)
        packed = packed.view(-1, frames, high * wide, 3, self.heads, width // self.heads)
        q, k, v = packed.permute(3, 0, 2, 4, 1, 5).flatten(1, 2)  # each (B HW, heads, F, C / heads)
        h = F.scaled_dot_product_attention(_turned(q), _turned(k), v)
        h = h.view(-1, high * wide, *h.shape[1:]).permute(0, 3, 1, 2, 4)  # (B, F, HW, heads, C')
        out = self.project_out(h.reshape(-1, high, wide, width))
        moved: Tensor = x + out.permute(0, 3, 1, 2)
        return moved


def _neighbours(x: Tensor) -> Tensor:
    """The channels of the frame before, of the frame, and of the one after: (B, F, H, W, 3C)."""
    return torch.cat([x.roll(1, 1), x, x.roll(-1, 1)], -1)


def _turned(x: Tensor) -> Tensor:
    """Pairs of channels turned by the frame's part of a loop, (..., F, C)."""
    frames, width = x.shape[-2:]
    turns = torch.arange(width // 2, device=x.device) % TURNS
    angles = torch.arange(frames, device=x.device) * (2 * math.pi / frames)
    angle = angles[:, None] * turns  # (F, C / 2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class MovingStage(Stage):
    """A stage of pictures whose every block is followed by a look across frames.

    It is given an embedding a clip, and the frames of all clips one after another.
    """

    def __init__(
        self, widths: list[tuple[int, int]], embedding: int, attention: bool, cond_dim: int = 0
    ) -> None:
        super().__init__(widths, embedding, attention, cond_dim)
        self.across = nn.ModuleList(AcrossFrames(b, attention) for _, b in widths)

    def at(self, index: int, x: Tensor, embedding: Tensor, text: TextCondition | None) -> Tensor:
        frames = len(x) // len(embedding)
        h = super().at(index, x, embedding.repeat_interleave(frames, 0), text)
        if frames == 1:  # a picture
            return h
        moved: Tensor = self.across[index](h, frames)
        return moved


class VideoUNet(UNet):
    """x (B, F, channels, size, size), t (B,), label (B,), words -> a prediction of x's shape.

    `expected` (B, channels, size, size) is a picture of what is to move, as far as it is known:
    every frame is seen beside it. F may be any number; 1 is a picture, that no layer over time
    touches.
    """

    stage = MovingStage

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        width = self.enter.out_channels
        self.enter = nn.Conv2d(2 * self.channels * self.patch**2, width, 3, 1, 1)

    def forward(  # type: ignore[override]
        self, x: Tensor, t: Tensor, label: Tensor, text: TextCondition, expected: Tensor
    ) -> Tensor:
        frames = x.shape[1]
        embedding = self._embedded(x, t, label, text)
        beside = torch.cat([x, expected[:, None].expand(-1, frames, -1, -1, -1)], 2)
        each = TextCondition(
            text.states.repeat_interleave(frames, 0),
            text.hidden.repeat_interleave(frames, 0),
            text.pooled,
        )
        said = self._through(beside.flatten(0, 1), embedding, each)
        return said.view(x.shape)
