"""What the evaluators share: the task, figures as functions of a seed, and their intervals."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue, ValidationError

from models.checkpoint.header import Header
from models.engine.flow import Family
from models.families import FAMILIES
from models.params.base import Params
from training.errors import TrainingError
from training.metrics.image.features import Features
from training.metrics.interval import interval

Record = dict[str, JsonValue]
"""What a card keeps of one evaluation."""
Figures = dict[str, float]
Measure = Callable[[int], Figures]
"""From a seed to figures."""


class EvaluationRefused(TrainingError):
    """A checkpoint can't be measured as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What `atelier eval` was asked for."""

    params: Mapping[str, JsonValue] = field(default_factory=dict)
    n: int | None = None
    """Items a seed; None is the evaluator's own number."""
    seeds: int = 3
    reference: str | None = None
    """A data set, as `training.data.images.sets` knows them; None is that of the recipe."""


@dataclass(frozen=True, slots=True)
class FeatureNets:
    """The nets whose features of images are compared."""

    features: Features
    inception: Features | None = None
    """Only by these are a distance and a score called FID and IS."""


@dataclass(frozen=True, slots=True)
class Task:
    """A loaded checkpoint, and how to measure it."""

    header: Header
    model: Family[Any]
    options: EvalOptions
    nets: FeatureNets
    checkpoints: Path
    """The folder whose judges may be asked."""
    device: torch.device


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of a model, and of real data and noise, which stand beside them."""

    about: Record
    """The number of items a seed, the reference, and by what the items were compared."""
    model: Measure
    real: Measure
    noise: Measure | None = None

    def record(self, options: EvalOptions) -> Record:
        """Measures everything."""
        about = {"params": dict(options.params), "n": self.about["n"], "seeds": options.seeds}
        record = about | self.about | over_seeds(self.model, options.seeds)
        record["real"] = over_seeds(self.real, options.seeds)
        if self.noise:
            record["noise"] = over_seeds(self.noise, options.seeds)
        return record


Evaluator = Callable[[Task], Evaluation]
"""Prepares the evaluation of one kind of model. Raises EvaluationRefused or DataMissing."""


def over_seeds(measure: Measure, seeds: int) -> Record:
    """Returns the mean of each figure with its interval."""
    series: dict[str, list[float]] = {}
    for seed in range(seeds):
        for name, value in measure(seed).items():
            series.setdefault(name, []).append(value)
    return {name: interval(values).card() for name, values in series.items()}


def once(figures: Callable[[], Figures]) -> Measure:
    """Returns a measure of what depends on no seed: the mean has no interval."""
    return lambda seed: figures() if seed == 0 else {}


def mean_figures(items: Iterable[Figures]) -> Figures:
    """Returns each figure's mean over the items that have it."""
    series: dict[str, list[float]] = {}
    for item in items:
        for name, value in item.items():
            series.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in series.items()}


def requests_of(
    header: Header, params: Mapping[str, JsonValue], own: Iterable[Mapping[str, JsonValue]] = ({},)
) -> list[Any]:
    """Returns a request with these params for each of `own`, the params of one item alone.

    Raises EvaluationRefused for params that the checkpoint doesn't take.
    """
    family = FAMILIES[header.family]
    if unknown := params.keys() & family.lacks(header):
        raise EvaluationRefused(f"this checkpoint takes no {', '.join(sorted(unknown))}")
    kind: type[Params] = family.params
    try:
        return [kind.model_validate({**header.defaults, **params, **item}) for item in own]
    except ValidationError as error:
        first = error.errors()[0]
        raise EvaluationRefused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
