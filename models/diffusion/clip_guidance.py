"""CLIP guidance: every step is led towards what a CLIP finds alike to a text.

The gradient of their similarity by the predicted x0, through whatever makes a picture of it and
through cutouts of that picture, is added to x0, scaled by sqrt(1 - alpha_bar): as Dhariwal and
Nichol 2021 (2105.05233), algorithm 2, lead by a classifier, but by the x0 that the net has found
rather than by x through the net, which would cost as much again and let no U-Net's batch be shared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint
from models.clip.clip import CLIP, cutouts
from models.clip.tokenizer import notes_of
from models.diffusion.denoiser import Progress, X0Hook
from models.diffusion.timesteps import Timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import Step
from models.params.diffusion import LARGEST, SampledParams

CUTOUTS = 4  # that CLIP looks at in each step it leads
LARGE = 64 * 2**20  # bytes that a row's gradient holds, beyond which rows run one at a time
OWN = 100.0  # the scale where only CLIP reads the prompt, if neither request nor checkpoint says

Decode = Callable[[Tensor], Tensor]
"""Predicted x0 (B, ...) to pictures (B, C, H, W) in [-1, 1], C 1 or 3; it can be differentiated."""


@dataclass(frozen=True, slots=True)
class ClipTarget:
    """Where a request is led, and how far."""

    goal: Tensor  # (embed,), of length 1
    scale: float
    every: int = 1
    notes: tuple[str, ...] = ()  # what was not read of its text

    @classmethod
    def of(
        cls, params: SampledParams, scale: float, goal: Tensor, notes: tuple[str, ...] = ()
    ) -> "ClipTarget":
        return cls(goal, scale, params.clip_guidance_every or 1, notes)


class ClipGuidance:
    """A CLIP that leads the x0 of one model; built once per loaded model."""

    def __init__(
        self, clip: CLIP, decode: Decode, x0: Tensor, placement: Placement, pad_to: int = 4
    ) -> None:
        self.clip, self._decode = clip, decode
        goal = F.normalize(torch.ones(clip.embed), dim=0)
        cuts = torch.tensor([[0.9, 0.0, 0.0]] * CUTOUTS)
        self.item_bytes = _held(clip, goal, cuts, placement)
        self.gradient: BatchedFn[Tensor] = BatchedFn(
            self._gradient,
            (x0, goal, cuts),
            pad_to=pad_to if self.item_bytes < LARGE else 1,
            dtype=placement.dtype,
            grad=True,
        )
        self.batched: tuple[BatchedFn[Any], ...] = (clip.tell, self.gradient)

    def _gradient(self, x0: Tensor, goal: Tensor, cuts: Tensor) -> Tensor:
        """Of each row's similarity to its text, by its x0: as large as that."""
        with torch.enable_grad():
            x0 = x0.detach().requires_grad_()
            alike = self.clip.likeness(self._decode(x0), goal, cuts).sum()
            (gradient,) = torch.autograd.grad(alike, x0)
        return gradient

    async def read(self, text: str, progress: Progress) -> tuple[Tensor, tuple[str, ...]]:
        """The goal that a text sets, and what should be noted; it is encoded once a request."""
        clip = self.clip
        read = clip.tokenizer.read_text(text, clip.context)
        _, goal = await Step(clip.tell, (clip.tokens(read.rows),), progress)
        return goal, notes_of(clip.context, read)

    def x0_hooks(
        self, clip_target: ClipTarget | None, path: Timesteps, rng: torch.Generator
    ) -> tuple[X0Hook, ...]:
        """What leads the x0 of a level; every frame of a walk has its own `rng` for its cutouts."""
        if clip_target is None:
            return ()

        async def towards(x0: Tensor, level: int, progress: Progress) -> Tensor:
            if level % clip_target.every:
                return x0
            row = (x0, clip_target.goal, cutouts(rng, CUTOUTS))
            gradient = await Step(self.gradient, row, progress)
            return x0 + clip_target.scale * path.noise[level] * gradient

        return (towards,)


def default_clip_scale(told: Mapping[str, Any]) -> float:
    """The scale of a checkpoint that only CLIP tells what to draw, where none is asked for.

    Raises TypeError or ValueError out of 0 to 1000, 0 excluded, as in a request.
    """
    scale = float(told.get("clip_guidance", OWN))
    if not 0 < scale <= LARGEST:
        raise ValueError(f"clip_guidance must be above 0 and at most {LARGEST:g}, not {scale}")
    return scale


def guide_of(checkpoint: Checkpoint, placement: Placement) -> CLIP | None:
    """The CLIP that a checkpoint needs to be led. Raises CheckpointError if it is none."""
    role = checkpoint.header.guide
    if role is None:
        return None
    try:
        return CLIP(checkpoint.requires[role], placement)
    except CheckpointError as error:
        raise CheckpointError(
            f"what leads it, {checkpoint.header.requires[role].id}: {error}"
        ) from None


def _held(clip: CLIP, goal: Tensor, cuts: Tensor, placement: Placement) -> int:
    """Bytes of CLIP's image tower that the gradient of one row keeps, weights aside."""
    weights = {p.untyped_storage().data_ptr() for p in clip.net.parameters()}
    held: dict[int, int] = {}

    def kept(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    picture = torch.zeros(
        1, 3, clip.side, clip.side, device=placement.device, dtype=placement.dtype
    )
    row = (
        picture.requires_grad_(),
        *(t[None].to(placement.device, placement.dtype) for t in (goal, cuts)),
    )
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(kept, lambda t: t):
        alike = clip.likeness(*row)  # lives until all is counted: addresses are given out again
    return sum(held.values()) + alike.nbytes
