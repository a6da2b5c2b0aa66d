"""Variational autoencoders (Kingma and Welling 2014, arXiv 1312.6114): encoder, decoder, prior."""

from typing import Literal

import torch
from torch import Tensor, nn

from models.nets.activations import Activation, silu
from models.nets.mixture import Covariance, GaussianMixture


class VAENet(nn.Module):
    """Pictures (B, channels, size, size) in [0, 1] <-> latents (B, latent).

    `encode` gives the mean and log variance of q(z|x). `decode` gives logits, whose sigmoid is the
    mean of p(x|z): of a Bernoulli in each channel of each pixel, or of a Gaussian that has one
    learned variance for all (Rybkin et al. 2021, 2006.13202). With `components` there is a
    mixture over z, fitted after training; with `attributes`, directions of the latent space.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as many measures as a net has
        self,
        kind: Literal["conv", "mlp", "broadcast"] = "conv",
        size: int = 28,
        channels: int = 1,
        width: int = 32,
        latent: int = 16,
        halvings: int = 2,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        components: int = 0,
        covariance: Covariance = "full",
        attributes: int = 0,
    ) -> None:
        super().__init__()
        if kind not in ("conv", "mlp", "broadcast"):
            raise ValueError(f"kind must be conv, mlp or broadcast, not {kind}")
        if likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(f"likelihood must be bernoulli or gaussian, not {likelihood}")
        self.latent, self.shape = latent, (channels, size, size)
        self.encoder: nn.Module
        self.decoder: nn.Module
        if kind == "conv":
            self.encoder, self.decoder = _convolutional(size, channels, width, latent, halvings)
        elif kind == "broadcast":
            self.encoder, self.decoder = _broadcast(size, channels, width, latent)
        else:
            self.encoder, self.decoder = _connected(size, channels, width, latent)
        self.logvar = nn.Parameter(torch.zeros(())) if likelihood == "gaussian" else None
        self.prior = GaussianMixture(components, latent, covariance) if components else None
        self.directions = nn.Parameter(torch.zeros(attributes, latent)) if attributes else None

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu, logvar, each (B, latent)."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Logits (B, channels, size, size); their sigmoid is the picture."""
        logits: Tensor = self.decoder(z)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """The logits of the picture decoded from the mean of q(z|x)."""
        return self.decode(self.encode(x)[0])


def _convolutional(
    size: int, channels: int, width: int, latent: int, halvings: int
) -> tuple[nn.Sequential, nn.Sequential]:
    if size < 1 or halvings < 1 or size % 2**halvings:
        raise ValueError(f"size must halve {halvings} times, and {size} does not")
    wide, side = width * 2, size // 2**halvings
    inwards: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1), Activation(silu)]
    outwards: list[nn.Module] = []
    for i in range(halvings):
        inwards += [nn.Conv2d(wide if i else width, wide, 4, 2, 1), Activation(silu)]
        last = i == halvings - 1
        outwards += [nn.ConvTranspose2d(wide, width if last else wide, 4, 2, 1), Activation(silu)]
    encoder = nn.Sequential(
        *inwards,
        nn.Flatten(),
        nn.Linear(wide * side * side, 4 * wide),
        Activation(silu),
        nn.Linear(4 * wide, 2 * latent),
    )
    decoder = nn.Sequential(
        nn.Linear(latent, 4 * wide),
        Activation(silu),
        nn.Linear(4 * wide, wide * side * side),
        nn.Unflatten(1, (wide, side, side)),
        Activation(silu),
        *outwards,
        nn.Conv2d(width, channels, 3, 1, 1),
    )
    return encoder, decoder


def _connected(
    size: int, channels: int, width: int, latent: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """Two hidden layers of `width` each way (Kingma and Welling 2014, appendix C)."""
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    pixels = channels * size * size
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 2 * latent),
    )
    decoder = nn.Sequential(
        nn.Linear(latent, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, pixels),
        nn.Unflatten(1, (channels, size, size)),
    )
    return encoder, decoder


FOLD = 4
"""The side, in pixels, of the patches that a broadcast net works on."""


class BroadcastDecoder(nn.Module):
    """Latents (B, latent) to logits (B, channels, size, size), one patch of 4x4 pixels at a time.

    Every patch gets the same latents and its own place, and the same layers draw it: the spatial
    broadcast decoder of Watters et al. 2019 (1901.07017), with patches for pixels.
    """

    def __init__(self, size: int, channels: int, width: int, latent: int) -> None:
        super().__init__()
        self.side = size // FOLD
        steps = torch.arange(self.side, dtype=torch.float32) - (self.side - 1) / 2
        down, across = torch.meshgrid(steps, steps, indexing="ij")
        self.register_buffer("grid", torch.stack([across, down], 2).flatten(0, 1))
        self.latents = nn.Linear(latent, width)
        self.position = nn.Linear(2, width, bias=False)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, channels * FOLD * FOLD),
        )

    def forward(self, z: Tensor) -> Tensor:
        patches = self.layers(self.latents(z)[:, None] + self.position(self.grid))
        rows = patches.transpose(1, 2).unflatten(2, (self.side, self.side))
        return nn.functional.pixel_shuffle(rows, FOLD)


def _broadcast(
    size: int, channels: int, width: int, latent: int
) -> tuple[nn.Sequential, BroadcastDecoder]:
    """Two strided convolutions over patches inwards; outwards, the same layers for every patch."""
    if size < 1 or size % (4 * FOLD):
        raise ValueError(f"size must be a multiple of {4 * FOLD}, not {size}")
    side = size // (4 * FOLD)
    encoder = nn.Sequential(
        nn.PixelUnshuffle(FOLD),
        nn.Conv2d(channels * FOLD * FOLD, width, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * side * side, 4 * width),
        nn.ReLU(),
        nn.Linear(4 * width, 2 * latent),
    )
    return encoder, BroadcastDecoder(size, channels, width, latent)
