"""The learner that most models share: AdamW, a cosine schedule and a moving average."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from training.errors import TrainingRefused
from training.loop.state import Resumable, Stateful, state_on_cpu
from training.loop.warm_start import load_average
from training.optim.ema import Average
from training.optim.schedules import warm_cosine
from training.recipe import Batch

N = TypeVar("N", bound=nn.Module)


class StandardSettings(Protocol):
    """The settings that `StandardLearner` reads; each objective has more of its own."""

    @property
    def steps(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def warmup(self) -> int: ...
    @property
    def decay(self) -> float: ...


class Objective(ABC, Generic[N]):
    """What one kind of model learns: its net, its loss and its samples."""

    net: N
    settings: StandardSettings
    betas = (0.9, 0.999)
    max_norm: float | None = None
    """The largest norm of a gradient; None does not clip."""
    prefix = ""
    """Precedes the names of the net's tensors in a checkpoint."""
    refusal: str | None = None
    """Why the training can't start from a checkpoint, if it can't."""

    @abstractmethod
    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        """Returns the value to minimise, and other values to log, all of them scalars."""

    @abstractmethod
    def sample(self, net: N, rows: int, rng: torch.Generator) -> Tensor:
        """Returns what the averaged net makes, (rows, C, H, W) in [0, 1]."""

    def groups(self) -> list[dict[str, Any]]:
        """Returns AdamW's groups of parameters; each may have an `lr` of its own."""
        return [{"params": list(self.net.parameters())}]

    def rate_factor(self, step: int) -> float:
        return warm_cosine(step, self.settings.steps, self.settings.warmup)

    def extra_modules(self) -> dict[str, nn.Module]:
        """Returns modules that learn beside the net and are not served."""
        return {}

    def extra_tensors(self) -> dict[str, Tensor]:
        """Returns what a checkpoint holds beside the net's tensors."""
        return {}


class StandardLearner(Resumable, Generic[N]):
    """Minimises an objective. The average of the weights is what is served."""

    def __init__(self, objective: Objective[N]) -> None:
        self.objective, self.net, self.refusal = objective, objective.net, objective.refusal
        self.settings = settings = objective.settings
        groups = objective.groups()
        self.average = Average(self.net, settings.decay)
        self.rates = [group.get("lr", settings.rate) for group in groups]
        self.optimiser = torch.optim.AdamW(
            groups,
            settings.rate,
            betas=objective.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        loss, others = self.objective.loss(batch, rng, self.steps)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        figures = {"loss": loss, **others}
        if self.objective.max_norm is not None:
            parameters = self.net.parameters()
            figures["norm"] = nn.utils.clip_grad_norm_(parameters, self.objective.max_norm)
        factor = self.objective.rate_factor(self.steps)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        values = torch.stack([value.detach() for value in figures.values()])
        return dict(zip(figures, values.tolist(), strict=True))  # waits for the device once

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        return self.objective.sample(self.average.net, rows, rng)

    def weights(self) -> dict[str, Tensor]:
        own = state_on_cpu(self.average.net)
        named = {f"{self.objective.prefix}{name}": tensor for name, tensor in own.items()}
        return named | self.objective.extra_tensors()

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        if self.refusal:
            raise TrainingRefused(self.refusal)
        load_average(self.net, self.average, weights, self.objective.prefix)

    def components(self) -> dict[str, Stateful]:
        own: dict[str, Stateful] = {
            "net": self.net,
            "average": self.average.net,
            "optimiser": self.optimiser,
        }
        return {**own, **self.objective.extra_modules()}
