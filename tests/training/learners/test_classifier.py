from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.header import Header
from models.checkpoint.weights import load
from models.nets.classifier import Classifier
from models.registry import CheckpointRegistry
from training.learners.classifier import (
    ClassifierObjective,
    ClassifierSettings,
    augmented,
    classifier_of,
    measure_accuracy,
)
from training.learners.standard import StandardLearner
from training.loop.run_folder import RunFolder
from training.pipeline import carry_out
from training.publish import JUDGES
from training.recipe import Data, Recipe

CPU = torch.device("cpu")
CARD = Header(
    family="classifier",
    net={"channels": 1, "classes": 2, "widths": [4, 8]},
    title="Tiny",
    labels=["upper", "lower"],
)


def halves(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise whose upper or lower half is much lighter, and which."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 100, (rows, 1, 12, 12), generator=rng, dtype=torch.uint8)
    label = torch.arange(rows) % 2
    for i in range(rows):
        x[i, :, 6 * label[i] : 6 * label[i] + 6] += 150
    return x, label


def recipe() -> Recipe:
    return Recipe(
        id="tiny-classifier",
        folder=JUDGES,
        data=lambda: Data(halves(64, 0), halves(40, 1), ("upper", "lower")),
        learner=lambda card, device: StandardLearner(
            ClassifierObjective(card, ClassifierSettings(steps=60, warmup=5, decay=0.9), device)
        ),
        measure=measure_accuracy,
        card=CARD,
        settings={},
        steps=60,
        batch=16,
    )


def test_a_judge_learns_lies_apart_and_is_not_served(tmp_path: Path) -> None:
    path = carry_out(recipe(), tmp_path, RunFolder(tmp_path / "run"), 60, resume=False, device=CPU)
    assert path == tmp_path / "judges" / "tiny-classifier.safetensors"
    assert CheckpointRegistry(tmp_path).look() == {}
    judge = load(path)
    assert judge.header.quality["test_accuracy"] == 1.0
    assert judge.header.quality["test_accuracy_by_kind"] == {"upper": 1.0, "lower": 1.0}
    net = classifier_of(judge.header)
    net.load_state_dict(judge.tensors)
    x, label = halves(40, 1)
    probabilities = net.eval().probabilities(x.float() / 255)
    assert torch.allclose(probabilities.sum(1), torch.ones(40))
    assert torch.equal(probabilities.argmax(1), label)


def test_a_resumed_classifier_goes_on_to_the_same_weights() -> None:
    settings = ClassifierSettings(steps=6)
    whole, first, second = (
        StandardLearner(ClassifierObjective(CARD, settings, CPU)) for _ in range(3)
    )
    batch = halves(8, 3)

    def steps(learner: StandardLearner[Any], *numbers: int) -> None:
        for number in numbers:
            learner.step(batch, torch.Generator().manual_seed(number))

    steps(whole, 0, 1, 2, 3)
    steps(first, 0, 1)
    second.restore(first.state())
    steps(second, 2, 3)
    for name, weight in whole.weights().items():
        assert torch.equal(weight, second.weights()[name])


def test_pictures_are_moved_by_two_pixels_at_most_and_black_comes_in() -> None:
    x = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    x[:, :, 10, 6] = 255
    seen = augmented(x, torch.Generator().manual_seed(0))
    assert seen.sum((1, 2, 3)).allclose(torch.ones(200), atol=1e-5)
    _, _, y, at = (seen > 0.5).nonzero().T
    assert set(y.tolist()) == set(range(8, 13))
    assert set(at.tolist()) == {*range(4, 9), *range(19, 24)}  # as it was, or mirrored


@pytest.mark.parametrize("side", [8, 28, 33])
def test_a_classifier_takes_pictures_of_any_side(side: int) -> None:
    net = Classifier(channels=3, classes=4, widths=[4, 8, 8])
    assert net(torch.rand(2, 3, side, side)).shape == (2, 4)
