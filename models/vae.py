"""Family `vae`: a variational autoencoder (Kingma and Welling 2014), one await a picture."""

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.batching import Batched, Place
from models.checkpoint import Checkpoint, build_net
from models.draws import normal
from models.flow import Step
from models.nets.conv_vae import ConvVAE
from models.params import VAEParams


class VAE:
    """Draws z from the prior N(0, temperature^2) and decodes it: p(x|z), equation 1."""

    max_items = 256
    item_bytes = 4 * 2**20

    def __init__(self, checkpoint: Checkpoint, place: Place) -> None:
        self.net = build_net(ConvVAE, checkpoint, place)
        example = (torch.zeros(self.net.latent),)
        self.decode: Batched[Tensor] = Batched(self._decode, example, dtype=place.dtype)
        self.batched = (self.decode,)

    def _decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.net.decode(z).float())  # (B, C, H, W) in [0, 1]

    async def generate(self, params: VAEParams, rng: torch.Generator) -> tuple[Artifact, ...]:
        z = normal(rng, self.net.latent) * params.temperature
        return (Image(await Step(self.decode, (z,), progress=(1, 1))),)
