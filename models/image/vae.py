"""Family `vae`: a variational autoencoder (Kingma and Welling 2014)."""

import torch
from torch import Tensor

from models.artifacts import Artifact
from models.checkpoint.weights import Checkpoint, build_net
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.engine.noise import normal, seeded, slerp, uniform_parts, walk
from models.image.directions import Directions
from models.image.preprocessing import fitted, shown
from models.nets.activations import sigmoid
from models.nets.mixture import PARTS
from models.nets.vae import VAENet
from models.params.base import VAEParams


class VAE:
    """Draws z from a prior, or near the latent of a given picture, and decodes it: p(x|z).

    The prior is N(0, temperature^2), or a mixture whose deviations are scaled so.
    """

    max_items = 256
    item_bytes = 4 * 2**20

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.net = build_net(VAENet, checkpoint, placement)
        z, x = torch.zeros(self.net.latent), torch.zeros(self.net.shape)
        self.directions = Directions.of(
            checkpoint.header.attributes, self.net.directions, self.net.latent
        )
        self.decode: BatchedFn[Tensor] = BatchedFn(self._decode, (z,), dtype=placement.dtype)
        self.encode: BatchedFn[Tensor] = BatchedFn(
            self._encode, (x,), dtype=placement.dtype, channels_last=True
        )
        self.batched: tuple[BatchedFn[Tensor], ...] = (self.decode, self.encode)
        if self.net.prior is not None:
            self.draw: BatchedFn[Tensor] = BatchedFn(
                self.net.prior.draw_by_parts, (torch.tensor(PARTS // 2), z), dtype=placement.dtype
            )
            self.batched += (self.draw,)

    def _decode(self, z: Tensor) -> Tensor:
        return sigmoid(self.net.decode(z).float())  # (B, C, H, W) in [0, 1]

    def _encode(self, x: Tensor) -> Tensor:
        return self.net.encode(x)[0]  # the mean of q(z|x), (B, latent)

    async def generate(
        self, params: VAEParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        stops = [await self._latent(params, rng, inputs)]
        if params.interpolate:
            end = await self._latent(params, seeded(params.interpolate.to_seed), inputs)
            stops = walk(slerp, stops[0], end, params.interpolate.frames)
        moved = (self.directions.moved(z, params.attributes) for z in stops)
        steps = [Step(self.decode, (z,), progress=(2, 2)) for z in moved]
        return shown(await gather(*steps), params.interpolate is not None)

    async def _latent(self, params: VAEParams, rng: torch.Generator, inputs: Inputs) -> Tensor:
        """z of the draw that `rng` makes; with a picture, between its own latent and a draw."""
        eps = normal(rng, self.net.latent) * params.temperature
        if params.init_image is not None:
            x = fitted(inputs["init_image"], *self.net.shape[:2])
            mu = await Step(self.encode, (x,), progress=(1, 2))
            share = params.used_strength
            kept: float = (1 - share**2) ** 0.5
            return kept * mu + share * eps
        if params.prior == "mixture":
            u = uniform_parts(rng, PARTS)
            return await Step(self.draw, (u, eps), progress=(1, 2))
        return eps
