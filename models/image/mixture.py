"""Family `mixture`: a Gaussian mixture over the principal components of pictures."""

import torch
from torch import Tensor

from models.artifacts import Artifact
from models.checkpoint.weights import Checkpoint, build_net
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.engine.noise import line, normal, seeded, uniform_parts, walk
from models.image.preprocessing import shown
from models.nets.mixture import PARTS, PrincipalMixture
from models.params.base import MixtureParams


class Mixture:
    """Picks a component, draws coefficients from it, and adds the axes up (Bishop 2006, 9.2)."""

    max_items = 256
    item_bytes = 4 * 2**20

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.net = build_net(PrincipalMixture, checkpoint, placement)
        z = torch.zeros(self.net.latent)
        self.draw: BatchedFn[Tensor] = BatchedFn(
            self.net.mixture.draw_by_parts, (torch.tensor(PARTS // 2), z), dtype=placement.dtype
        )
        self.decode: BatchedFn[Tensor] = BatchedFn(self.net.decode, (z,), dtype=placement.dtype)
        self.batched = (self.draw, self.decode)

    async def generate(
        self, params: MixtureParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        stops = [await self._coefficients(params, rng)]
        if params.interpolate:
            end = await self._coefficients(params, seeded(params.interpolate.to_seed))
            stops = walk(line, stops[0], end, params.interpolate.frames)
        steps = [Step(self.decode, (z,), progress=(2, 2)) for z in stops]
        pictures = await gather(*steps)
        return shown(tuple(x.clamp(0, 1) for x in pictures), params.interpolate is not None)

    async def _coefficients(self, params: MixtureParams, rng: torch.Generator) -> Tensor:
        u, eps = uniform_parts(rng, PARTS), normal(rng, self.net.latent)
        return await Step(self.draw, (u, eps * params.temperature), progress=(1, 2))
