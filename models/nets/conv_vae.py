"""A small convolutional variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114)."""

from torch import Tensor, nn


class ConvVAE(nn.Module):
    """Pictures (B, channels, size, size) in [0, 1] <-> latents (B, latent); size divides by 4.

    `encode` gives the mean and log variance of q(z|x); `decode` the logits of p(x|z), one
    Bernoulli per channel of each pixel.
    """

    def __init__(self, size: int = 28, channels: int = 1, width: int = 32, latent: int = 16):
        super().__init__()
        if size % 4:
            raise ValueError(f"size must divide by 4, not {size}")
        self.latent = latent
        wide, side = width * 2, size // 4
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(width, wide, 4, 2, 1),  # (B, wide, size/2, size/2)
            nn.SiLU(),
            nn.Conv2d(wide, wide, 4, 2, 1),  # (B, wide, size/4, size/4)
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(wide * side * side, 4 * wide),
            nn.SiLU(),
            nn.Linear(4 * wide, 2 * latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 4 * wide),
            nn.SiLU(),
            nn.Linear(4 * wide, wide * side * side),
            nn.Unflatten(1, (wide, side, side)),
            nn.SiLU(),
            nn.ConvTranspose2d(wide, wide, 4, 2, 1),  # (B, wide, size/2, size/2)
            nn.SiLU(),
            nn.ConvTranspose2d(wide, width, 4, 2, 1),  # (B, width, size, size)
            nn.SiLU(),
            nn.Conv2d(width, channels, 3, 1, 1),
        )

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
