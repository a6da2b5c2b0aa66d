"""Family `gan`: the generator of an adversarial network (Goodfellow et al. 2014)."""

import torch
from torch import Tensor

from models.artifacts import Artifact
from models.checkpoint.configs import GANNet
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_net
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.engine.noise import normal, seeded, slerp, walk
from models.image.directions import (
    DIRECTIONS,
    Directions,
    at_length_of,
    without_directions,
)
from models.image.preprocessing import shown
from models.image.truncation import first_typical
from models.nets.gan import generator_of
from models.params.base import POOL, GANParams


class GAN:
    """Draws z from a normal, of many the first with a typical picture if that is asked for.

    Attributes then turn it towards directions of the latent space.
    """

    max_items = 256
    item_bytes = 16 * 2**20

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.net = build_net(generator_of, without_directions(checkpoint), placement)
        self.labels = checkpoint.header.labels
        config = GANNet.parse(checkpoint.header.net)
        if len(self.labels) != config.classes:
            raise CheckpointError(
                f"it has {len(self.labels)} labels, and its net {config.classes} classes"
            )
        self.latent = config.latent
        vectors = checkpoint.tensors.get(DIRECTIONS)
        self.directions = Directions.of(checkpoint.header.attributes, vectors, self.latent)
        example = (torch.zeros(self.latent), torch.tensor(0))
        self.paint: BatchedFn[Tensor] = BatchedFn(self._paint, example, dtype=placement.dtype)
        self.batched = (self.paint,)

    def _paint(self, z: Tensor, label: Tensor) -> Tensor:
        x: Tensor = self.net(z, label)
        return (x.float() + 1) / 2  # (B, C, H, W), tanh's [-1, 1] to [0, 1]

    async def generate(
        self, params: GANParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        z, label = normal(rng, self.latent), self._label(params, rng)
        total = 1 if params.truncation is None else 2
        stops = [await self._truncated(params, z, label, rng)]
        if params.interpolate:
            other = seeded(params.interpolate.to_seed)
            end = await self._truncated(params, normal(other, self.latent), label, other)
            stops = walk(slerp, stops[0], end, params.interpolate.frames)
        stops = [self._moved(z, params) for z in stops]
        steps = [Step(self.paint, (z, label), progress=(total, total)) for z in stops]
        return shown(await gather(*steps), params.interpolate is not None)

    async def _truncated(
        self, params: GANParams, z: Tensor, label: Tensor, rng: torch.Generator
    ) -> Tensor:
        """The first of `z` and further draws whose picture is typical, where that is asked for."""
        if params.truncation is None:
            return z
        pool = [z, *(normal(rng, self.latent) for _ in range(POOL - 1))]
        steps = [Step(self.paint, (z, label), progress=(1, 2)) for z in pool]
        return pool[first_typical(await gather(*steps), params.truncation)]

    def _moved(self, z: Tensor, params: GANParams) -> Tensor:
        """z, turned towards the directions of the attributes that are asked for."""
        if not params.attributes:
            return z
        return at_length_of(z, self.directions.moved(z, params.attributes))

    def _label(self, params: GANParams, rng: torch.Generator) -> Tensor:
        """The number of the class asked for, or of one drawn; 0 where there are none."""
        if not self.labels:
            return torch.tensor(0)
        if params.class_label is None:
            return torch.randint(len(self.labels), (), generator=rng)
        return torch.tensor(self.labels.index(params.class_label))
