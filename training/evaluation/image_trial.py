"""Figures of pictures over several seeds, and the floors that they stand beside."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pydantic import JsonValue
from torch import Tensor

from models.engine.noise import seeded
from training.evaluation.feature_lens import Lens, lens_over
from training.evaluation.judges import Judge
from training.evaluation.reference import EvaluationRefused, Reference
from training.metrics.features import Features, remembered
from training.metrics.interval import MOST, interval

PICTURES = 2_000  # a seed, where there are so many to compare with

Make = Callable[[int], Tensor]
"""From a seed to uint8 pictures (N, C, H, W)."""
Figures = dict[str, JsonValue]
"""Mean and interval of each figure, by its name."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Whose features pictures are compared by."""

    features: Features
    inception: Features | None = None
    """Only by these are a distance and a score called FID and IS."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Against what, through what, by whom, and how much."""

    reference: Reference
    lenses: list[Lens]
    judge: Judge | None
    count: int  # pictures a seed
    seeds: int

    def figures(self, make: Make, label: Tensor | None = None, *, again: bool = False) -> Figures:
        """Of the pictures of every seed; `again` where other checkpoints will ask for the same."""
        series: dict[str, list[float]] = {}
        for seed in range(self.seeds):
            for name, value in self._of_one(make(seed), label, seed, again).items():
                series.setdefault(name, []).append(value)
        return {name: interval(values).card() for name, values in series.items()}

    def _of_one(
        self, pictures: Tensor, label: Tensor | None, seed: int, again: bool
    ) -> dict[str, float]:
        found: dict[str, float] = {}
        for lens in self.lenses:
            look = partial(remembered, lens.features) if again else lens.features
            found |= lens.figures(look(pictures), seeded(seed))
        if self.judge and label is not None:
            found |= self.judge.figures(pictures, label)
        return found

    def real(self) -> Figures:
        """Training pictures; the judge knows best which of the real ones it should be asked of."""
        found = self.figures(lambda seed: self.reference.sample(self.count, seed), again=True)
        if self.judge:
            judged = self.judge.of_real(self.reference.data)
            found |= {name: interval([value]).card() for name, value in judged.items()}
        return found

    def noise(self, label: Tensor | None) -> Figures:
        return self.figures(lambda seed: self.reference.noise(self.count, seed), label, again=True)


def trial_of(
    reference: Reference, eyes: Eyes, judge: Judge | None, n: int | None, seeds: int
) -> Trial:
    """n None is 2,000, or as many as there are training pictures: the floor needs as many.

    Raises EvaluationRefused where there are too few pictures, or seeds, for what is asked.
    """
    if not 1 <= seeds <= MOST:
        raise EvaluationRefused(f"the interval is over 1 to {MOST} seeds, not {seeds}")
    train, held_out = (part[0] for part in (reference.data.train, reference.data.test))
    count = min(PICTURES, len(train)) if n is None else n
    if not 2 <= count <= len(train) or len(held_out) < 2:
        raise EvaluationRefused(
            f"{count} pictures can't be measured against {reference.name}, which has "
            f"{len(train)} training and {len(held_out)} held-out pictures"
        )
    lenses = [lens_over(held_out, eyes.features, ("fed", "score"))]
    if eyes.inception:
        lenses.append(lens_over(held_out, eyes.inception, ("fid", "is")))
    return Trial(reference, lenses, judge, count, seeds)
