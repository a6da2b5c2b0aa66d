"""What a recipe is: data, a learner and the numbers of one training, as values and callables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header

Batch = tuple[Tensor, ...]
"""The same rows of every column of a data set: pictures, then labels where there are any."""


@dataclass(frozen=True, slots=True)
class Data:
    """Columns of equal length; pictures are uint8, (N, C, H, W). `test` is never trained on."""

    train: Batch
    test: Batch
    labels: tuple[str, ...] = ()
    """What the numbers of the second column mean; none if there is no such column."""


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

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Take what a checkpoint holds in the place of what was drawn, before the first step.

        Raises RuntimeError if it is of another net, TrainingRefused if it is not enough.
        """


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """A checkpoint's weights with the card that goes with them."""

    card: Header
    weights: dict[str, Tensor]


def as_trained(card: Header, weights: dict[str, Tensor], data: Data) -> TrainedWeights:
    """Nothing is left to do once the training is over."""
    return TrainedWeights(card, weights)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one checkpoint is made. Its id is its file's name with dashes, and the checkpoint's."""

    id: str
    data: Callable[[], Data]
    learner: Callable[[Header, torch.device], Learner]
    """From the card, whose `net` and `process` may have been fitted to other data."""
    card: Header
    """The header but for how the training went, which is filled in at the end."""
    settings: dict[str, JsonValue]
    """What the card should say of the learner."""
    steps: int
    batch: int
    seed: int = 0
    folder: str = ""
    """Among the checkpoints: "judges" or "parts", if this one can't be asked for."""
    start: Callable[[Any, Data], None] = lambda *_: None
    """What is done to a new learner before its first step, by the data."""
    finish: Callable[[Header, dict[str, Tensor], Data], TrainedWeights] = as_trained
    """What is fitted to the data after the last step, such as a prior over the latents."""
    measure: Callable[[Header, dict[str, Tensor], Data], dict[str, JsonValue]] = lambda *_: {}
    """Figures that only the learner's family has, such as a bound; `atelier eval` has the rest."""
    reference: Callable[[], Data] | None = None
    """What its pictures are held against, where that is not `data`."""
    picture: tuple[int, int] | None = None
    """The size and channels of the pictures, where those of `net` are of latents."""
    origin: dict[str, JsonValue] = field(default_factory=dict)
    """The recipe it was changed from and the data it was fitted to, where it was."""
