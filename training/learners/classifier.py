"""Training of a classifier that is to judge generated pictures: by labels, with light changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.classifier import Classifier
from training.loop.state import Kept, state_of, take_back
from training.loop.warm_start import begin_average
from training.optim.amp import mixed
from training.optim.augment import mirror, translate
from training.optim.ema import Average
from training.optim.init import initialise
from training.optim.schedules import set_rate, warm_cosine
from training.recipe import Batch, Data

SHIFT = 2  # pixels, at most, that a picture is moved by while learning


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 4e-3
    weight_decay: float = 0.02
    warmup: int = 300
    smoothing: float = 0.05  # Szegedy et al. 2016 (1512.00567), section 7
    decay: float = 0.995  # of the average
    seed: int = 0


class ClassifierLearner:
    """Cross-entropy on pictures that were mirrored and moved a little; the average is kept."""

    def __init__(self, card: Header, settings: ClassifierSettings, device: torch.device) -> None:
        net = initialise(classifier_of(card), torch.Generator().manual_seed(settings.seed))
        self.net = net.to(device).to(memory_format=torch.channels_last).train()
        self.settings, self.device, self.steps = settings, device, 0
        self.average = Average(self.net, settings.decay)
        self.seen = torch.zeros(1, 1, 1, 1)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), settings.rate, weight_decay=settings.weight_decay, fused=True
        )

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        x, label = changed(batch[0].to(self.device), rng), batch[1].to(self.device)
        self.seen = x[label.argsort()]
        with mixed(self.device):
            logits = self.net(x).float()
        loss = F.cross_entropy(logits, label, label_smoothing=self.settings.smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        settings = self.settings
        set_rate(
            self.optimiser,
            settings.rate * warm_cosine(self.steps, settings.steps, settings.warmup),
        )
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        right = logits.argmax(1) == label
        return {"loss": loss.item(), "accuracy": right.float().mean().item()}

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """It makes no pictures: those that it learnt from last, by kind."""
        return self.seen[:rows]

    def weights(self) -> dict[str, Tensor]:
        return {k: v.contiguous().cpu() for k, v in self.average.net.state_dict().items()}

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        begin_average(self.net, self.average, weights)

    def state(self) -> dict[str, Any]:
        return state_of(self.steps, self._parts())

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = take_back(state, self._parts())

    def _parts(self) -> dict[str, Kept]:
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser}


def classifier_of(card: Header) -> Classifier:
    net: dict[str, Any] = dict(card.net)
    return Classifier(**net)


def changed(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """uint8 to [0, 1], mirrored and moved at random; what comes in from outside is black."""
    negative = 1 - pictures.float().div(127.5)  # `translate` brings in 1, which is black here
    moved = translate(mirror(negative, rng), rng, SHIFT / pictures.shape[2])
    return (1 - moved) / 2


def measure_accuracy(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """The share of held-out pictures whose kind is named rightly: as they are, moved, by kind."""
    net = classifier_of(card)
    net.load_state_dict(weights)
    net.eval()
    pictures, label = data.test
    right = net.probabilities(pictures.float().div(255)).argmax(1) == label
    moved = changed(pictures, torch.Generator().manual_seed(0))
    right_moved = net.probabilities(moved).argmax(1) == label
    kinds: dict[str, JsonValue] = {
        name: round(right[label == kind].float().mean().item(), 4)
        for kind, name in enumerate(data.labels)
        if (label == kind).any()
    }
    return {
        "test_accuracy": round(right.float().mean().item(), 4),
        "test_accuracy_mirrored_and_moved": round(right_moved.float().mean().item(), 4),
        "test_accuracy_by_kind": kinds,
    }
