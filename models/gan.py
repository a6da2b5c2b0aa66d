"""Family `dcgan`: the generator of a GAN (Goodfellow et al. 2014; Radford et al. 2015)."""

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.batching import Batched, Place
from models.checkpoint import Checkpoint, build_net
from models.draws import normal, truncated_normal
from models.flow import Step
from models.nets.dcgan import Generator
from models.params import GANParams


class DCGAN:
    """Draws z from a normal, cut if asked (Brock et al. 2019), and maps it to a picture."""

    max_items = 256
    item_bytes = 16 * 2**20

    def __init__(self, checkpoint: Checkpoint, place: Place) -> None:
        self.net = build_net(Generator, checkpoint, place)
        example = (torch.zeros(self.net.latent),)
        self.paint: Batched[Tensor] = Batched(self._paint, example, dtype=place.dtype)
        self.batched = (self.paint,)

    def _paint(self, z: Tensor) -> Tensor:
        x: Tensor = self.net(z)
        return (x.float() + 1) / 2  # (B, C, H, W), tanh's [-1, 1] to [0, 1]

    async def generate(self, params: GANParams, rng: torch.Generator) -> tuple[Artifact, ...]:
        size = self.net.latent
        if params.truncation is None:
            z = normal(rng, size)
        else:
            z = truncated_normal(rng, params.truncation, size)
        return (Image(await Step(self.paint, (z,), progress=(1, 1))),)
