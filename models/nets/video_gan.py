"""A GAN of 3D convolutions for short clips: Vondrick et al. 2016 (1609.02612), Radford et al. 2015.

A clip lies in memory as (B, channels, frames, size, size) here: what 3D convolutions take.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST = 4  # the side at which a clip begins, and at which it is judged
TIMES = 8  # frames begin as an eighth, doubled three times


def check_measures(frames: int, size: int) -> None:
    """Raises ValueError for a clip that can't be doubled from its beginning."""
    if frames < TIMES or frames % TIMES:
        raise ValueError(f"frames must be a multiple of {TIMES}, not {frames}")
    if size < 8 * LEAST or size & (size - 1):
        raise ValueError(f"size must be a power of two of at least {8 * LEAST}, not {size}")


class VideoGenerator(nn.Module):
    """z (B, latent), standard normal, and told (B, told) of length 1 -> (B, F, C, S, S) in [-1, 1].

    A line to `frames` / 8 frames of 4x4, doubled in both directions until half the size but for
    three times, then in time as well. With `told` 0 nothing is asked for, and `told` is (B, 0).
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as many measures as a net has
        self,
        latent: int = 100,
        told: int = 0,
        asked: int = 128,
        width: int = 64,
        frames: int = 16,
        channels: int = 3,
        size: int = 64,
    ) -> None:
        super().__init__()
        check_measures(frames, size)
        self.latent, self.cond_dim = latent, told
        self.frames, self.channels, self.size = frames, channels, size
        self.scale = told**0.5  # brings a vector of length 1 to values of about 1
        self.ask = nn.Linear(told, asked) if told else None
        wide, first = 8 * width, frames // TIMES
        layers: list[nn.Module] = [
            nn.Linear(latent + (asked if told else 0), wide * first * LEAST**2, bias=False),
            nn.Unflatten(1, (wide, first, LEAST, LEAST)),
            nn.BatchNorm3d(wide),
            nn.ReLU(inplace=True),
        ]
        side = LEAST
        while 8 * side < size:  # as many doublings as there is no time for
            layers += [*_doubled(wide, wide, 1)]
            side *= 2
        for _ in range(3):
            layers += [*_doubled(wide, wide // 2, 2)]
            wide //= 2
        self.main = nn.Sequential(*layers, nn.Conv3d(wide, channels, 3, 1, 1), nn.Tanh())

    def forward(self, z: Tensor, text: Tensor) -> Tensor:
        if self.ask is not None:
            z = torch.cat([z, F.leaky_relu(self.ask(self.scale * text), 0.2)], 1)
        x: Tensor = self.main(z)
        return x.transpose(1, 2)


def _doubled(width_in: int, width: int, times: int) -> list[nn.Module]:
    """Twice the side, and `times` the frames."""
    kernel, stride, pad = ((4, 4, 4), 2, 1) if times == 2 else ((1, 4, 4), (1, 2, 2), (0, 1, 1))
    return [
        nn.ConvTranspose3d(width_in, width, kernel, stride, pad, bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    ]


class VideoCritic(nn.Module):
    """Clips (B, F, C, S, S) in [-1, 1] and told (B, told) -> one logit each; positive is real.

    The first convolution halves the side alone, the next three time as well. No batch norm, as a
    gradient penalty wants rows that are independent; in its place the deviation over the batch is
    a feature (Karras et al. 2018, section 3). What is asked for is judged by a product (Miyato and
    Koyama 2018, equation 3).
    """

    def __init__(
        self, width: int = 64, told: int = 0, frames: int = 16, channels: int = 3, size: int = 64
    ) -> None:
        super().__init__()
        check_measures(frames, size)
        layers: list[nn.Module] = [
            nn.Conv3d(channels, width, (3, 4, 4), (1, 2, 2), 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        side = size // 2
        for _ in range(3):
            layers += [nn.Conv3d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            width, side = 2 * width, side // 2
        while side > LEAST:
            layers += [nn.Conv3d(width, width, (1, 4, 4), (1, 2, 2), (0, 1, 1))]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            side //= 2
        self.features = nn.Sequential(*layers)
        self.judge = DiscriminatorHead(width, frames // TIMES * side * side, told)

    def forward(self, clips: Tensor, text: Tensor) -> Tensor:
        h: Tensor = self.features(clips.transpose(1, 2))
        return self.judge(h.flatten(2), text)  # type: ignore[no-any-return]


class FrameCritic(nn.Module):
    """Pictures (B, C, S, S) in [-1, 1] and told (B, told) -> one logit each, by 2D convolutions."""

    def __init__(self, width: int = 64, told: int = 0, channels: int = 3, size: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        side = size // 2
        while side > LEAST:
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            width, side = 2 * width, side // 2
        self.features = nn.Sequential(*layers)
        self.judge = DiscriminatorHead(width, side * side, told)

    def forward(self, pictures: Tensor, text: Tensor) -> Tensor:
        h: Tensor = self.features(pictures)
        return self.judge(h.flatten(2), text)  # type: ignore[no-any-return]


class DiscriminatorHead(nn.Module):
    """Features (B, width, places), their deviation over the batch, and what is asked, to (B,)."""

    def __init__(self, width: int, places: int, cond_dim: int) -> None:
        super().__init__()
        self.scale = cond_dim**0.5
        self.mix = nn.Linear((width + 1) * places, width)
        self.score = nn.Linear(width, 1)
        self.ask = nn.Linear(cond_dim, width, bias=False) if cond_dim else None

    def forward(self, h: Tensor, text: Tensor) -> Tensor:
        spread = (h.float().var(0, correction=0) + 1e-8).sqrt().mean()
        h = torch.cat([h, spread.to(h.dtype).expand(len(h), 1, h.shape[2])], 1)
        h = F.leaky_relu(self.mix(h.flatten(1)), 0.2)
        value: Tensor = self.score(h).squeeze(1)
        if self.ask is not None:
            value = value + (self.ask(self.scale * text) * h).sum(1) / h.shape[1] ** 0.5
        return value.float()
