"""What a recipe is: data, a learner and the numbers of one training, as values and callables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from pydantic import JsonValue
from torch import Tensor

from models.header import Header

Batch = tuple[Tensor, ...]
"""The same rows of every column of a data set: pictures, then labels where there are any."""


@dataclass(frozen=True, slots=True)
class Data:
    """Columns of equal length; pictures are uint8, (N, C, H, W). `test` is never trained on."""

    train: Batch
    test: Batch


class Learner(Protocol):
    """Nets, their optimisers and one kind of step. All randomness comes from the `rng` given."""

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        """Learn from one batch; the losses by name, "loss" among them."""

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """Pictures as they would be served now, (rows, C, H, W) in [0, 1]."""

    def weights(self) -> dict[str, Tensor]:
        """What a checkpoint holds: the served net's state dict."""

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on exactly; tensors, numbers, dicts and lists."""

    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one checkpoint is made. Its id is its file's name with dashes, and the checkpoint's."""

    id: str
    data: Callable[[], Data]
    learner: Callable[[torch.device], Learner]
    measure: Callable[[dict[str, Tensor], Data], dict[str, float | str]]
    """Quality of the published weights, by name, on pictures held out."""
    card: Header
    """The header but for how the training went, which is filled in at the end."""
    settings: dict[str, JsonValue]
    """What else the card should say of the training."""
    steps: int
    batch: int
    seed: int = 0
