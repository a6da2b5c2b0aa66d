"""Generators and critics of adversarial networks, by the kind that a header names.

A generator takes z (B, latent), standard normal, and a label (B,) that nets without classes
ignore; it gives pictures (B, channels, size, size) in [-1, 1]. A critic gives one number a
picture, (B,): a logit or a Wasserstein potential, as its loss has it; more is more real.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.nets.dcgan import Discriminator, Generator

SMALLEST = 7  # the side at which a convolutional net begins is at most this


def smallest_side(size: int) -> tuple[int, int]:
    """The side a picture is folded to by halving it, and how often it is halved."""
    if size < 4:
        raise ValueError(f"size must be at least 4, not {size}")
    side, halvings = size, 0
    while side > SMALLEST:
        if side % 2:
            raise ValueError(f"size must halve to at most {SMALLEST}, and {size} does not")
        side, halvings = side // 2, halvings + 1
    return side, halvings


class MLPGenerator(nn.Module):
    """Fully connected layers (Goodfellow et al. 2014)."""

    def __init__(
        self,
        latent: int = 64,
        hidden: int = 512,
        channels: int = 1,
        size: int = 28,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.latent, self.classes = latent, classes
        self.embed = nn.Embedding(classes, latent) if classes else None
        self.main = nn.Sequential(
            nn.Linear(latent * (2 if classes else 1), hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels * size * size),
            nn.Tanh(),
            nn.Unflatten(1, (channels, size, size)),
        )

    @property
    def output(self) -> nn.Linear:
        """The layer that gives a picture's pixels, before tanh."""
        layer = self.main[-3]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(label)], 1)
        x: Tensor = self.main(z)
        return x


class MLPCritic(nn.Module):
    """Fully connected layers (Goodfellow et al. 2014), each leaky."""

    def __init__(
        self, hidden: int = 512, channels: int = 1, size: int = 28, classes: int = 0
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * size * size, hidden),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.judge = Judgement(hidden, classes)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.judge(self.features(x), label)  # type: ignore[no-any-return]


class ConvGenerator(nn.Module):
    """Transposed convolutions for a side that is no power of two, as 28: 7 to 14 to 28."""

    def __init__(
        self,
        latent: int = 64,
        width: int = 32,
        channels: int = 1,
        size: int = 28,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.latent, self.classes = latent, classes
        side, doublings = smallest_side(size)
        wide = width * 2**doublings
        self.embed = nn.Embedding(classes, latent) if classes else None
        layers: list[nn.Module] = [
            nn.Linear(latent * (2 if classes else 1), wide * side * side, bias=False),
            nn.Unflatten(1, (wide, side, side)),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
        for _ in range(doublings):
            layers += [
                nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(wide // 2),
                nn.ReLU(inplace=True),
            ]
            wide //= 2
        self.main = nn.Sequential(*layers, nn.Conv2d(wide, channels, 3, 1, 1), nn.Tanh())

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(label)], 1)
        x: Tensor = self.main(z)
        return x


class ConvCritic(nn.Module):
    """Strided convolutions (Radford et al. 2015), the inner ones normalised where it is asked for.

    A gradient penalty wants rows that are independent, so no batch norm; a critic with clipped
    weights needs it, else its clipped layers let next to nothing through.
    """

    def __init__(
        self,
        width: int = 32,
        channels: int = 1,
        size: int = 28,
        classes: int = 0,
        norm: bool = False,
    ) -> None:
        super().__init__()
        side, halvings = smallest_side(size)
        layers: list[nn.Module] = []
        wide = channels
        for i in range(halvings):
            outer, wide = wide, width * 2 ** (i + 1)
            layers += [nn.Conv2d(outer, wide, 4, 2, 1), *_normed(wide, norm and i > 0)]
        layers += [nn.Conv2d(wide, wide, 3, 1, 1), *_normed(wide, norm), nn.Flatten()]
        self.features = nn.Sequential(*layers)
        self.judge = Judgement(wide * side * side, classes)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.judge(self.features(x), label)  # type: ignore[no-any-return]


def _normed(width: int, norm: bool) -> list[nn.Module]:
    leaky = nn.LeakyReLU(0.2, inplace=True)
    return [nn.BatchNorm2d(width), leaky] if norm else [leaky]


class Judgement(nn.Module):
    """Features (B, F) to one number: w h + <embed(label), h> (Miyato and Koyama 2018, eq. 3)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1)
        self.embed = nn.Embedding(classes, features) if classes else None

    def forward(self, h: Tensor, label: Tensor) -> Tensor:
        value: Tensor = self.score(h).squeeze(1)
        if self.embed is not None:
            value = value + (self.embed(label) * h).sum(1)
        return value.float()


GENERATORS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLPGenerator,
    "conv": ConvGenerator,
    "dcgan": Generator,
}
CRITICS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLPCritic,
    "conv": ConvCritic,
    "dcgan": Discriminator,
}


def generator_of(kind: str = "conv", **config: int) -> nn.Module:
    """The generator that a header's `net` describes. Raises ValueError for an unknown kind."""
    return _of(GENERATORS, kind)(**config)


def critic_of(kind: str = "conv", **config: int) -> nn.Module:
    return _of(CRITICS, kind)(**config)


def _of(table: dict[str, Callable[..., nn.Module]], kind: str) -> Callable[..., nn.Module]:
    if kind not in table:
        raise ValueError(f"kind must be one of {', '.join(table)}, not {kind}")
    return table[kind]
