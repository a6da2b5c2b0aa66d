"""Trains a classifier that judges generated images, with light augmentation."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.classifier import Classifier
from training.learners.standard import Objective
from training.optim.amp import mixed
from training.optim.augment import mirror, translate
from training.optim.init import initialise
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


class ClassifierObjective(Objective[Classifier]):
    """Cross-entropy on images that are mirrored and moved a little."""

    settings: ClassifierSettings

    def __init__(self, card: Header, settings: ClassifierSettings, device: torch.device) -> None:
        net = initialise(classifier_of(card), torch.Generator().manual_seed(settings.seed))
        self.net = net.to(device).to(memory_format=torch.channels_last).train()
        self.settings, self.device = settings, device
        self.last_batch = torch.zeros(1, 1, 1, 1)

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        x, label = augmented(batch[0].to(self.device), rng), batch[1].to(self.device)
        self.last_batch = x[label.argsort()]
        with mixed(self.device):
            logits = self.net(x).float()
        loss = F.cross_entropy(logits, label, label_smoothing=self.settings.smoothing)
        return loss, {"accuracy": (logits.argmax(1) == label).float().mean()}

    def sample(self, net: Classifier, rows: int, rng: torch.Generator) -> Tensor:
        """Returns images of the last batch, ordered by label: a classifier makes none."""
        return self.last_batch[:rows]


def classifier_of(card: Header) -> Classifier:
    net: dict[str, Any] = dict(card.net)
    return Classifier(**net)


def augmented(pictures: Tensor, rng: torch.Generator) -> Tensor:
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
    moved = augmented(pictures, torch.Generator().manual_seed(0))
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
