"""The deep convolutional GAN of Radford, Metz and Chintala (2015, arXiv 1511.06434)."""

import torch
from torch import Tensor, nn


def _blocks_between(size: int) -> int:
    """How often 4x4 must be doubled to reach half of `size`, a power of two from 16."""
    if size < 16 or size & (size - 1):
        raise ValueError(f"size must be a power of two of at least 16, not {size}")
    return size.bit_length() - 4


class Generator(nn.Module):
    """z (B, latent), standard normal -> pictures (B, channels, size, size) in [-1, 1].

    At size 64 its state dict has the names and shapes of the generator in the PyTorch DCGAN
    tutorial, so foreign weights of that widespread layout load strictly.
    """

    def __init__(self, latent: int = 100, width: int = 64, channels: int = 3, size: int = 64):
        super().__init__()
        self.latent, self.classes = latent, 0
        wide = width * 2 ** _blocks_between(size)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent, wide, 4, 1, 0, bias=False),  # (B, wide, 4, 4)
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
        while wide > width:
            layers += [
                nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(wide // 2),
                nn.ReLU(inplace=True),
            ]
            wide //= 2
        layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x: Tensor = self.main(z[:, :, None, None])
        return x


class Discriminator(nn.Module):
    """Pictures (B, channels, size, size) in [-1, 1] -> one logit each, (B,); positive is real.

    Without batch norm, whose coupling of the rows disturbs a gradient penalty. In its place the
    standard deviation over the batch is a feature of its own (Karras et al. 2018, section 3), so
    that pictures which are all alike give themselves away.
    """

    def __init__(self, width: int = 64, channels: int = 3, size: int = 64):
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for _ in range(_blocks_between(size)):
            layers += [nn.Conv2d(width, width * 2, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            width *= 2
        self.features = nn.Sequential(*layers)  # (B, width, 4, 4)
        self.mix = nn.Sequential(
            nn.Conv2d(width + 1, width, 3, 1, 1), nn.LeakyReLU(0.2, inplace=True)
        )
        self.score = nn.Conv2d(width, 1, 4, 1, 0)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        h: Tensor = self.features(x)
        spread = (h.float().var(0, correction=0) + 1e-8).sqrt().mean()
        h = torch.cat([h, spread.to(h.dtype).expand(h.shape[0], 1, *h.shape[2:])], 1)
        logits: Tensor = self.score(self.mix(h))
        return logits.flatten().float()
