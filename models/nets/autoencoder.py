"""A convolutional autoencoder whose latents keep the picture's plan (Rombach et al. 2022)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.nets.activations import Activation, silu

GROUPS = 8


class Residual(nn.Module):
    """Two convolutions beside a way straight through."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(GROUPS, width)
        self.conv_in = nn.Conv2d(width, width, 3, 1, 1)
        self.norm_out = nn.GroupNorm(GROUPS, width)
        self.conv_out = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv_in(silu(self.norm_in(x)))
        out: Tensor = x + self.conv_out(silu(self.norm_out(h)))
        return out


class Autoencoder(nn.Module):
    """Pictures (B, channels, size, size) in [-1, 1] <-> latents (B, latent, side, side).

    The picture is folded into squares of `patch` pixels first, which saves the widest maps, and its
    side halves between `widths`: side = size / patch / 2^(len(widths) - 1). `mean` and `scale`
    (latent,) are those of the training pictures' latents, so that what `encode` gives and `decode`
    takes has deviation 1; they are set after training (Rombach et al. 2022, appendix G).
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        latent: int = 4,
        patch: int = 2,
        widths: Sequence[int] = (64, 128),
        blocks: int = 1,
    ) -> None:
        super().__init__()
        smaller = patch * 2 ** (len(widths) - 1)
        if size < 1 or size % smaller:
            raise ValueError(f"size {size} does not divide by {smaller}")
        self.size, self.channels, self.latent = size, channels, latent
        self.side, folded = size // smaller, channels * patch**2
        inwards: list[nn.Module] = [
            nn.PixelUnshuffle(patch),
            nn.Conv2d(folded, widths[0], 3, 1, 1),
        ]
        outwards: list[nn.Module] = [nn.Conv2d(latent, widths[-1], 3, 1, 1)]
        for before, width in zip((0, *widths), widths, strict=False):
            inwards += [nn.Conv2d(before, width, 3, 2, 1)] if before else []
            inwards += [Residual(width) for _ in range(blocks)]
        for width, after in zip(widths[::-1], (*widths[-2::-1], 0), strict=True):
            outwards += [Residual(width) for _ in range(blocks)]
            if after:
                outwards += [nn.Upsample(scale_factor=2), nn.Conv2d(width, after, 3, 1, 1)]
        self.encoder = nn.Sequential(
            *inwards,
            nn.GroupNorm(GROUPS, widths[-1]),
            Activation(silu),
            nn.Conv2d(widths[-1], 2 * latent, 1),
        )
        self.decoder = nn.Sequential(
            *outwards,
            nn.GroupNorm(GROUPS, widths[0]),
            Activation(silu),
            nn.Conv2d(widths[0], folded, 3, 1, 1),
            nn.PixelShuffle(patch),
        )
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("scale", torch.ones(latent))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar of q(z|x), each (B, latent, side, side), as trained."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x), of mean 0 and deviation 1 over the training pictures."""
        mu = self.posterior(x)[0]
        return (mu - self.mean[:, None, None]) / self.scale[:, None, None]

    def decode(self, z: Tensor) -> Tensor:
        """Pictures in about [-1, 1], from latents of deviation 1."""
        out: Tensor = self.decoder(z * self.scale[:, None, None] + self.mean[:, None, None])
        return out

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))
