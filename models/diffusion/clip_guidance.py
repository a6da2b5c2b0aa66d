"""CLIP guidance: every step moves x0 towards pictures that a CLIP finds similar to a text.

The gradient of the similarity by the predicted x0, through whatever makes a picture of it and
through cutouts of that picture, is added to x0, scaled by sqrt(1 - alpha_bar): as Dhariwal and
Nichol 2021 (2105.05233), algorithm 2, guide by a classifier, but by the predicted x0 rather than
by x through the net, which would cost as much again and let no U-Net's batch be shared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint
from models.clip.clip import CLIP, cutouts
from models.diffusion.denoiser import Progress, X0Hook
from models.diffusion.timesteps import Timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import Step
from models.params.diffusion import SampledParams

CUTOUTS = 4  # that CLIP looks at in each step
LARGE = 64 * 2**20  # bytes that a row's gradient holds, beyond which rows run one at a time

Decode = Callable[[Tensor], Tensor]
"""Predicted x0 (B, ...) to pictures (B, C, H, W) in [-1, 1], C 1 or 3; it can be differentiated."""


@dataclass(frozen=True, slots=True)
class ClipTarget:
    """What a request's pictures are guided to, and how strongly."""

    gradient: BatchedFn[Tensor]
    text: Tensor  # (embed,), of length 1
    scale: float
    every: int = 1
    notes: tuple[str, ...] = ()  # on words that CLIP didn't read

    def hook(self, path: Timesteps, rng: torch.Generator) -> X0Hook:
        """Guides the x0 of a level; every frame of a walk has its own `rng` for its cutouts."""

        async def guide(x0: Tensor, level: int, progress: Progress) -> Tensor:
            if level % self.every:
                return x0
            row = (x0, self.text, cutouts(rng, CUTOUTS))
            gradient = await Step(self.gradient, row, progress)
            return x0 + self.scale * path.noise[level] * gradient

        return guide


class ClipGuidance:
    """A CLIP that guides the x0 of one model; built once per loaded model."""

    def __init__(
        self, clip: CLIP, decode: Decode, x0: Tensor, placement: Placement, pad_to: int = 4
    ) -> None:
        self.clip, self._decode = clip, decode
        goal = F.normalize(torch.ones(clip.embed), dim=0)
        cuts = torch.tensor([[0.9, 0.0, 0.0]] * CUTOUTS)
        self.item_bytes = _kept_bytes(clip, goal, cuts, placement)
        self.gradient: BatchedFn[Tensor] = BatchedFn(
            self._gradient,
            (x0, goal, cuts),
            pad_to=pad_to if self.item_bytes < LARGE else 1,
            dtype=placement.dtype,
            grad=True,
        )
        self.batched: tuple[BatchedFn[Any], ...] = (clip.encode, self.gradient)

    def _gradient(self, x0: Tensor, goal: Tensor, cuts: Tensor) -> Tensor:
        """The gradient of each row's similarity to its text, by its x0 and of its shape."""
        with torch.enable_grad():
            x0 = x0.detach().requires_grad_()
            similarity = self.clip.similarity(self._decode(x0), goal, cuts).sum()
            (gradient,) = torch.autograd.grad(similarity, x0)
        return gradient

    async def encode_target(
        self, params: SampledParams, text: str, scale: float, progress: Progress
    ) -> ClipTarget:
        """The target that a text sets; it is encoded once a request."""
        (prompt,), notes = await self.clip.encode_prompts([text], progress)
        return self.target(params, scale, prompt.pooled, notes)

    def target(
        self, params: SampledParams, scale: float, text: Tensor, notes: tuple[str, ...] = ()
    ) -> ClipTarget:
        """The target of a text that is encoded already."""
        return ClipTarget(self.gradient, text, scale, params.clip_guidance_every or 1, notes)


def guide_of(checkpoint: Checkpoint, placement: Placement) -> CLIP | None:
    """The CLIP that can guide a checkpoint. Raises CheckpointError if it is none."""
    role = checkpoint.header.guide
    if role is None:
        return None
    try:
        return CLIP(checkpoint.requires[role], placement)
    except CheckpointError as error:
        raise CheckpointError(
            f"what leads it, {checkpoint.header.requires[role].id}: {error}"
        ) from None


def _kept_bytes(clip: CLIP, goal: Tensor, cuts: Tensor, placement: Placement) -> int:
    """Bytes of CLIP's image tower that the gradient of one row keeps, weights aside."""
    weights = {p.untyped_storage().data_ptr() for p in clip.net.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    picture = torch.zeros(
        1, 3, clip.side, clip.side, device=placement.device, dtype=placement.dtype
    )
    row = (
        picture.requires_grad_(),
        *(t[None].to(placement.device, placement.dtype) for t in (goal, cuts)),
    )
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        similarity = clip.similarity(*row)
    return sum(kept.values()) + similarity.nbytes
