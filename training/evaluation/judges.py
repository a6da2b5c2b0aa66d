"""Judges, trained here, that say whether a picture shows what was asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from models.checkpoint.header import SUFFIX, CheckpointError, read_header
from models.checkpoint.weights import Checkpoint, load
from models.nets.classifier import Classifier
from training.learners.classifier import classifier_of
from training.metrics.clip_retrieval import embed_images, embed_texts
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
        """Of uint8 pictures (N, C, H, W) that should show their label (N,)."""

    def of_real(self, data: Data) -> dict[str, float]:
        """The same of real pictures: what those of a model can be compared with."""


@dataclass(frozen=True, slots=True)
class KindJudge:
    """A classifier: is the picture of its kind?"""

    id: str
    net: Classifier

    def figures(self, pictures: Tensor, label: Tensor) -> dict[str, float]:
        said = self.net.probabilities(pictures.float().div(255)).argmax(1)
        return {"class_accuracy": float((said == label).double().mean())}

    def of_real(self, data: Data) -> dict[str, float]:
        """Of held-out ones: it has learnt from the others."""
        pictures, label = data.test[:2]
        return self.figures(pictures, label)


@dataclass(frozen=True, slots=True)
class CaptionJudge:
    """A CLIP: which of all captions does the picture show?"""

    id: str
    reader: FrozenTextTower
    told: Tensor  # (captions, embed_dim)

    def figures(self, pictures: Tensor, label: Tensor) -> dict[str, float]:
        alike = embed_images(self.reader, pictures) @ self.told.T  # (N, captions)
        own = alike.gather(1, label[:, None])
        before = (alike > own).sum(1)
        return {
            "caption_at_1": float((before < 1).double().mean()),
            "caption_at_5": float((before < NEAR).double().mean()),
            "caption_likeness": float(own.mean()),
        }

    def of_real(self, data: Data) -> dict[str, float]:
        """Of training pictures, whose captions models paint; it has learnt from some sets."""
        pictures, label = data.train[:2]
        some = torch.randperm(len(label), generator=torch.Generator().manual_seed(0))[:REAL]
        return self.figures(pictures[some], label[some])


def judge_of(labels: list[str], checkpoints: Path) -> KindJudge | None:
    """The judge among these checkpoints that knows just these labels, if there is one."""
    for path in sorted((checkpoints / JUDGES).glob(f"*{SUFFIX}")):
        if labels and read_header(path).labels == labels:
            return _kinds(path)
    return None


def judge_of_captions(captions: list[str], checkpoints: Path) -> CaptionJudge | None:
    """The CLIP among the judges, told these captions; None if there is none."""
    for path in sorted((checkpoints / JUDGES).glob(f"*{SUFFIX}")):
        if read_header(path).family == "clip":
            reader = FrozenTextTower.of(load(path), torch.device("cpu"))
            return CaptionJudge(path.stem, reader, embed_texts(reader, captions))
    return None


def _kinds(path: Path) -> KindJudge:
    checkpoint: Checkpoint = load(path)
    net = classifier_of(checkpoint.header)
    try:
        net.load_state_dict(checkpoint.tensors)
    except RuntimeError:
        raise CheckpointError(f"{path.name} has weights that don't fit its header") from None
    return KindJudge(path.stem, net.eval())
