"""Compares images with held-out ones by the features of a net."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.metrics.image.features import Described, Features, remembered
from training.metrics.image.frechet import Gaussian, frechet_distance, gaussian_of
from training.metrics.image.inception_score import inception_score
from training.metrics.image.precision_recall import NEIGHBOURS, precision_recall


@dataclass(frozen=True, eq=False)
class Lens:
    """Figures against held-out images. Their names depend on the features."""

    features: Features
    names: tuple[str, str]
    """Of the Fréchet distance and the score; `fid` and `is` where the features are Inception's."""
    held_out: Described
    gaussian: Gaussian

    def figures(self, generated: Described, rng: torch.Generator) -> dict[str, float]:
        """Returns distance, score, precision and recall; the last two of equally many images."""
        distance, score = self.names
        figures = {
            distance: frechet_distance(self.gaussian, gaussian_of(generated.features)),
            score: inception_score(generated.probabilities),
        }
        count = min(len(generated.features), len(self.held_out.features))
        if count > NEIGHBOURS:
            ours, real = (_some(s.features, count, rng) for s in (generated, self.held_out))
            precision, recall = precision_recall(real, ours)
            figures |= {"precision": precision, "recall": recall}
        return figures


def lens_over(held_out: Tensor, features: Features, names: tuple[str, str]) -> Lens:
    """From uint8 pictures (N, C, H, W), N of at least 2."""
    described = remembered(features, held_out)
    return Lens(features, names, described, gaussian_of(described.features))


def _some(rows: Tensor, count: int, rng: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=rng)[:count]]
