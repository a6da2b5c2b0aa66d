"""Judges: classifiers, trained here, that say whether a picture is of the kind asked for."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from models.checkpoint import load
from models.header import SUFFIX, CheckpointError, read_header
from models.nets.classifier import Classifier
from training.classifying import classifier_of
from training.publish import JUDGES


@dataclass(frozen=True, slots=True)
class Judge:
    """A classifier by its checkpoint's name."""

    id: str
    net: Classifier

    def accuracy(self, pictures: Tensor, label: Tensor) -> float:
        """The share of uint8 pictures (N, C, H, W) that are taken for their label (N,)."""
        said = self.net.probabilities(pictures.float().div(255)).argmax(1)
        return float((said == label).double().mean())


def judge_of(labels: list[str], checkpoints: Path) -> Judge | None:
    """The judge among these checkpoints that knows just these labels, if there is one."""
    for path in sorted((checkpoints / JUDGES).glob(f"*{SUFFIX}")):
        if labels and read_header(path).labels == labels:
            return _loaded(path)
    return None


def _loaded(path: Path) -> Judge:
    checkpoint = load(path)
    net = classifier_of(checkpoint.header)
    try:
        net.load_state_dict(checkpoint.tensors)
    except RuntimeError:
        raise CheckpointError(f"{path.name} has weights that don't fit its header") from None
    return Judge(path.stem, net.eval())
