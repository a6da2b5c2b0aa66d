"""A small U-Net that predicts noise (Ho et al. 2020; Dhariwal and Nichol 2021, appendix A)."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nets.activations import Activation, silu

GROUPS = 8


@dataclass(frozen=True, slots=True)
class TextCondition:
    """What a picture is to show, as a text tower says it."""

    states: Tensor  # (B, L, width), one a token
    hidden: Tensor  # (B, L), 0 where a token is read and -inf where it only pads
    pooled: Tensor  # (B, pooled), of the whole text


class ResidualBlock(nn.Module):
    """Two convolutions; the embedding scales and shifts between them (AdaGN)."""

    def __init__(self, width_in: int, width: int, embedding: int) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(GROUPS, width_in)
        self.conv_in = nn.Conv2d(width_in, width, 3, 1, 1)
        self.modulate = nn.Linear(embedding, 2 * width)
        self.norm_out = nn.GroupNorm(GROUPS, width)
        self.conv_out = nn.Conv2d(width, width, 3, 1, 1)
        self.skip = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h: Tensor = self.conv_in(silu(self.norm_in(x)))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.norm_out(h) * (1 + scale) + shift
        h = self.conv_out(silu(h))
        out: Tensor = h + self.skip(x)
        return out


class SelfAttention(nn.Module):
    """Every place looks at every other (Vaswani et al. 2017), heads of 32 channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.project_in = nn.Conv2d(width, 3 * width, 1)
        self.project_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, width, height, wide = x.shape
        packed = self.project_in(self.norm(x)).flatten(2)  # (B, 3C, HW)
        packed = packed.view(rows, 3, self.heads, width // self.heads, height * wide)
        q, k, v = packed.transpose(3, 4).unbind(1)  # each (B, heads, HW, C / heads)
        h = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        out: Tensor = x + self.project_out(h.reshape(rows, width, height, wide))
        return out


class CrossAttention(nn.Module):
    """Every place looks at every word (Rombach et al. 2022, section 3.3), heads of 32 channels."""

    def __init__(self, width: int, cond_dim: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.query = nn.Conv2d(width, width, 1)
        self.words = nn.Linear(cond_dim, 2 * width)
        self.project_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, text: TextCondition) -> Tensor:
        rows, width, height, wide = x.shape
        each = (self.heads, width // self.heads)
        q = self.query(self.norm(x)).view(rows, *each, height * wide).transpose(2, 3)
        packed = self.words(text.states).unflatten(2, (2, *each))  # (B, L, 2, heads, C / heads)
        k, v = packed.permute(2, 0, 3, 1, 4)
        mask = text.hidden[:, None, None].to(q.dtype)
        h = F.scaled_dot_product_attention(q, k, v, mask).transpose(2, 3)
        out: Tensor = x + self.project_out(h.reshape(rows, width, height, wide))
        return out


class Stage(nn.Module):
    """Residual blocks at one resolution, each followed by attention where it is asked for: to the
    picture itself, and to words of width `cond_dim` if there are any."""

    def __init__(
        self, widths: list[tuple[int, int]], embedding: int, attention: bool, cond_dim: int = 0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(a, b, embedding) for a, b in widths)
        self.attentions = nn.ModuleList(
            SelfAttention(b) if attention else nn.Identity() for _, b in widths
        )
        self.readers = nn.ModuleList(
            CrossAttention(b, cond_dim) for _, b in widths if attention and cond_dim
        )

    def __len__(self) -> int:
        return len(self.blocks)

    def at(self, index: int, x: Tensor, embedding: Tensor, text: TextCondition | None) -> Tensor:
        """Through one of its blocks and what follows it."""
        h: Tensor = self.attentions[index](self.blocks[index](x, embedding))
        if text is not None and len(self.readers):
            h = self.readers[index](h, text)
        return h


class Guess(nn.Module):
    """The picture that a text and a label lead one to expect, before there is any of it: a
    regression whose answer the U-Net refines (Whang et al. 2022, 2112.02475, section 3).

    pooled (B, told) of length 1, label (B,) -> (B, channels, size, size).
    """

    def __init__(self, told: int, classes: int, width: int, channels: int, size: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.scale = told**0.5  # brings a vector of length 1 to values of about 1
        self.label = nn.Embedding(classes + 1, told)
        self.enter = nn.Linear(told, width)
        self.deepen = nn.Linear(width, width)
        self.leave = nn.Linear(width, math.prod(self.shape))

    def forward(self, pooled: Tensor, label: Tensor) -> Tensor:
        h = silu(self.enter(self.scale * pooled + self.label(label)))
        h = h + silu(self.deepen(h))
        out: Tensor = self.leave(h)
        return out.view(-1, *self.shape)


class UNet(nn.Module):
    """x (B, channels, size, size), t (B,), label (B,) -> a prediction of x's shape.

    `t` is a time step of the noise process, in [0, 1000), whole or not. Labels are 0 to
    `classes` - 1; `classes` itself means none, and is what the net saw when its label was dropped.
    The picture is folded into squares of `patch` by `patch` pixels first (Hoogeboom et al. 2023,
    section 3.3), which costs little in quality and saves the widest maps. With `told` it reads
    words of that width wherever it attends, and with `pooled` the whole text in one vector. With
    `guess`, the width of a regression from that vector, it sees beside x what is to be expected.
    """

    stage: Callable[[list[tuple[int, int]], int, bool, int], Stage] = Stage
    """What its levels are made of."""

    def __init__(  # noqa: PLR0913, PLR0917 - as many measures as a net has
        self,
        size: int = 32,
        channels: int = 1,
        patch: int = 2,
        widths: tuple[int, ...] | list[int] = (64, 128),
        blocks: int = 2,
        attention: tuple[int, ...] | list[int] = (8,),
        classes: int = 0,
        told: int = 0,
        pooled: int = 0,
        guess: int = 0,
    ) -> None:
        super().__init__()
        if guess and not pooled:
            raise ValueError("a guess is of words in one vector, and pooled is 0")
        if size < 1 or size % (patch * 2 ** (len(widths) - 1)):
            raise ValueError(f"size {size} does not divide by patch and levels")
        self.size, self.channels, self.patch, self.classes = size, channels, patch, classes
        self.base = widths[0]
        embedding = 4 * self.base
        self.embed_time = nn.Sequential(
            nn.Linear(self.base, embedding), Activation(silu), nn.Linear(embedding, embedding)
        )
        self.embed_label = nn.Embedding(classes + 1, embedding)
        self.embed_pooled = nn.Linear(pooled, embedding) if pooled else None
        self.guess = Guess(pooled, classes, guess, channels, size) if guess else None
        folded = channels * patch**2
        self.enter = nn.Conv2d(folded * (2 if guess else 1), widths[0], 3, 1, 1)
        stage = self.stage
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        side, width, kept = size // patch, widths[0], [widths[0]]
        for level, wide in enumerate(widths):
            pairs = [(width if i == 0 else wide, wide) for i in range(blocks)]
            self.down.append(stage(pairs, embedding, side in attention, told))
            width, kept = wide, kept + [wide] * blocks
            if level < len(widths) - 1:
                self.shrink.append(nn.Conv2d(wide, wide, 3, 2, 1))
                kept.append(wide)
                side //= 2
        self.middle = stage([(width, width)] * 2, embedding, side in attention, told)
        for level, wide in reversed(list(enumerate(widths))):
            pairs = []
            for _ in range(blocks + 1):
                pairs.append((width + kept.pop(), wide))
                width = wide
            self.up.append(stage(pairs, embedding, side in attention, told))
            if level:
                self.grow.append(nn.Conv2d(wide, wide, 3, 1, 1))
                side *= 2
        self.norm = nn.GroupNorm(GROUPS, width)
        self.leave = nn.Conv2d(width, folded, 3, 1, 1)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        label: Tensor,
        text: TextCondition | None = None,
        guess: Tensor | None = None,
    ) -> Tensor:
        """`guess` (x's shape) takes the place of its own, where it has one."""
        embedding = self._embedded(x, t, label, text)
        if self.guess is not None and text is not None:
            x = torch.cat([x, self.guess(text.pooled, label) if guess is None else guess], 1)
        return self._through(x, embedding, text)

    def _through(self, x: Tensor, embedding: Tensor, text: TextCondition | None) -> Tensor:
        """Down, through the middle and up again."""
        h = self.enter(F.pixel_unshuffle(x, self.patch))
        kept = [h]
        for level, stage in enumerate(cast(Iterable[Stage], self.down)):
            for index in range(len(stage)):
                h = stage.at(index, h, embedding, text)
                kept.append(h)
            if level < len(self.shrink):
                h = self.shrink[level](h)
                kept.append(h)
        for index in range(len(self.middle)):
            h = self.middle.at(index, h, embedding, text)
        for level, stage in enumerate(cast(Iterable[Stage], self.up)):
            for index in range(len(stage)):
                h = stage.at(index, torch.cat([h, kept.pop()], 1), embedding, text)
            if level < len(self.grow):
                h = self.grow[level](F.interpolate(h, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.leave(silu(self.norm(h)))
        return F.pixel_shuffle(out, self.patch)

    def _embedded(self, x: Tensor, t: Tensor, label: Tensor, text: TextCondition | None) -> Tensor:
        """What every block is told, (B, 4 base): the time, the label, and the text as a whole."""
        embedding = self.embed_time(sinusoids(t, self.base).to(x.dtype)) + self.embed_label(label)
        if text is not None and self.embed_pooled is not None:
            embedding = embedding + self.embed_pooled(text.pooled)
        return silu(embedding)


def sinusoids(t: Tensor, width: int) -> Tensor:
    """(B,) -> (B, width): cosines and sines of falling frequency (Vaswani et al. 2017, 3.5)."""
    half = width // 2
    steps = torch.arange(half, device=t.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(10_000) * steps / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)
