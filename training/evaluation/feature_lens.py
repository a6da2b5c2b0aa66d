"""What is looked at pictures through: features, with the held-out pictures as they show in them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.metrics.features import Described, Features, remembered
from training.metrics.frechet import Gaussian, frechet_distance, gaussian_of
from training.metrics.manifold import NEIGHBOURS, precision_recall
from training.metrics.score import inception_score


@dataclass(frozen=True, eq=False)
class Lens:
    """Figures against held-out pictures. What they are called depends on the features."""

    features: Features
    names: tuple[str, str]
    """Of the Fréchet distance and the score; `fid` and `is` where the features are Inception's."""
    held_out: Described
    gaussian: Gaussian

    def figures(self, seen: Described, rng: torch.Generator) -> dict[str, float]:
        """Distance, score, precision and recall; the last two of equally many on both sides."""
        distance, score = self.names
        found = {
            distance: frechet_distance(self.gaussian, gaussian_of(seen.features)),
            score: inception_score(seen.probabilities),
        }
        count = min(len(seen.features), len(self.held_out.features))
        if count > NEIGHBOURS:
            made, real = (_some(rows.features, count, rng) for rows in (seen, self.held_out))
            precision, recall = precision_recall(real, made)
            found |= {"precision": precision, "recall": recall}
        return found


def lens_over(held_out: Tensor, features: Features, names: tuple[str, str]) -> Lens:
    """From uint8 pictures (N, C, H, W), N of at least 2."""
    described = remembered(features, held_out)
    return Lens(features, names, described, gaussian_of(described.features))


def _some(rows: Tensor, count: int, rng: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=rng)[:count]]
