"""Named directions of a latent space, as a checkpoint has them: what `attributes` moves along."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint

DIRECTIONS = "directions"
"""The tensor of a checkpoint that has them, beside those of its nets."""


@dataclass(frozen=True, slots=True)
class Directions:
    """Directions (names, width) in single precision on the processor, and their names."""

    names: tuple[str, ...]
    vectors: Tensor

    @classmethod
    def of(cls, names: Sequence[str], vectors: Tensor | None, width: int) -> "Directions":
        """Raises CheckpointError where the card and the tensor don't fit."""
        known = torch.zeros(0, width) if vectors is None else vectors
        if len(names) != len(known):
            raise CheckpointError(
                f"it has {len(names)} attributes, its net {len(known)} directions"
            )
        if known.shape[1:] != (width,):
            raise CheckpointError(
                f"tensor {DIRECTIONS} has shape {tuple(known.shape)}, "
                f"its net wants {(len(names), width)}"
            )
        return cls(tuple(names), known.float().cpu())

    def moved(self, z: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """z (..., width), moved along each direction as far as its amount says."""
        for name, amount in amounts.items():
            z = z + amount * self.vectors[self.names.index(name)]
        return z


def without_directions(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the tensors of its nets alone."""
    nets = {name: tensor for name, tensor in checkpoint.tensors.items() if name != DIRECTIONS}
    return replace(checkpoint, tensors=nets)


def at_length_of(z: Tensor, moved: Tensor) -> Tensor:
    """`moved`, as long as z is; both (..., latent).

    Normal latents of many dimensions all have about one length (White 2016, 1609.04468, section
    2.1), and batch norm with fixed statistics darkens the pictures of others.
    """
    scale: Tensor = z.norm(dim=-1, keepdim=True) / moved.norm(dim=-1, keepdim=True)
    return moved * scale
