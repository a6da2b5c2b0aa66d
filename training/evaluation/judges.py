"""Judges, trained here, that decide whether an image shows what was asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from models.checkpoint.header import SUFFIX, CheckpointError, read_header
from models.checkpoint.weights import load
from models.nets.classifier import Classifier
from training.learners.classifier import classifier_of
from training.metrics.image.clip_retrieval import embed_images, embed_texts
from training.pretrained import FrozenTextTower
from training.publish import JUDGES
from training.recipe import Data

NEAR = 5
REAL = 2_000  # real pictures that a judge of captions is asked of, at most


class Judge(Protocol):
    """A judge by its checkpoint's name."""

    @property
    def id(self) -> str: ...

    def figures(self, pictures: Tensor, label: Tensor) -> dict[str, float]:
        """Judges uint8 images (N, C, H, W) that should show their label (N,)."""

    def of_real(self, data: Data) -> dict[str, float]:
        """Judges real images, for comparison."""


@dataclass(frozen=True, slots=True)
class LabelJudge:
    """A classifier: does the image show its label?"""

    id: str
    net: Classifier

    def figures(self, pictures: Tensor, label: Tensor) -> dict[str, float]:
        predicted = self.net.probabilities(pictures.float().div(255)).argmax(1)
        return {"class_accuracy": float((predicted == label).double().mean())}

    def of_real(self, data: Data) -> dict[str, float]:
        """Judges held-out images: the net has learnt from the others."""
        pictures, label = data.test[:2]
        return self.figures(pictures, label)


@dataclass(frozen=True, slots=True)
class CaptionJudge:
    """A CLIP: which of all captions does the image show?"""

    id: str
    clip: FrozenTextTower
    texts: Tensor  # (captions, embed_dim)

    def figures(self, pictures: Tensor, label: Tensor) -> dict[str, float]:
        alike = embed_images(self.clip, pictures) @ self.texts.T  # (N, captions)
        own = alike.gather(1, label[:, None])
        before = (alike > own).sum(1)
        return {
            "caption_at_1": float((before < 1).double().mean()),
            "caption_at_5": float((before < NEAR).double().mean()),
            "caption_likeness": float(own.mean()),
        }

    def of_real(self, data: Data) -> dict[str, float]:
        """Judges training images, whose captions text-to-image models get."""
        pictures, label = data.train[:2]
        some = torch.randperm(len(label), generator=torch.Generator().manual_seed(0))[:REAL]
        return self.figures(pictures[some], label[some])


def judge_of(labels: list[str], checkpoints: Path) -> LabelJudge | None:
    """Returns the judge among these checkpoints that knows exactly these labels, if any."""
    for path in sorted((checkpoints / JUDGES).glob(f"*{SUFFIX}")):
        if labels and read_header(path).labels == labels:
            return _label_judge(path)
    return None


def judge_of_captions(captions: list[str], checkpoints: Path) -> CaptionJudge | None:
    """Returns the CLIP among the judges with the vectors of these captions, if any."""
    for path in sorted((checkpoints / JUDGES).glob(f"*{SUFFIX}")):
        if read_header(path).family == "clip":
            clip = FrozenTextTower.of(load(path), torch.device("cpu"))
            return CaptionJudge(path.stem, clip, embed_texts(clip, captions))
    return None


def _label_judge(path: Path) -> LabelJudge:
    checkpoint = load(path)
    net = classifier_of(checkpoint.header)
    try:
        net.load_state_dict(checkpoint.tensors)
    except RuntimeError:
        raise CheckpointError(f"{path.name} has weights that don't fit its header") from None
    return LabelJudge(path.stem, net.eval())
