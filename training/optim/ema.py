"""Moving averages of a net's weights, which are what is served."""

import copy
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


class Average(Generic[N]):
    """Follows a net: old * decay + new * (1 - decay) each step, faster at the beginning.

    The decay rises as (1 + step) / (10 + step) until it reaches its own value, so that the first
    weights, which are noise, are soon forgotten. Buffers are copied.
    """

    def __init__(self, net: N, decay: float) -> None:
        self.net: N = copy.deepcopy(net).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, net: nn.Module, step: int) -> None:
        towards = 1 - min(self._decay, (1 + step) / (10 + step))
        for old, new in zip(self.net.parameters(), net.parameters(), strict=True):
            old.lerp_(new, towards)
        for kept, seen in zip(self.net.buffers(), net.buffers(), strict=True):
            kept.copy_(seen)


class GeneratorAverage(Generic[N]):
    """The average of a GAN's generator, with batch norm statistics of its own."""

    def __init__(self, net: N, half_life: int) -> None:
        self.net: N = copy.deepcopy(net).eval().requires_grad_(False)
        self.measured_at: int | None = None
        """The step of the average that its statistics belong to."""
        self._half_life = half_life

    @torch.no_grad()
    def follow(self, net: nn.Module, step: int, rows: int) -> None:
        """Moves towards the net, after a step with this many images: at first faster."""
        half_life = min(self._half_life, 0.05 * step * rows)
        towards = 1 - 0.5 ** (rows / half_life)
        for old, new in zip(self.net.parameters(), net.parameters(), strict=True):
            old.lerp_(new, towards)

    @torch.no_grad()
    def measure_norms(self, step: int, run: Callable[[], object]) -> None:
        """Measures the statistics of batch norm over eight calls of `run`, once a step."""
        if self.measured_at == step:
            return
        self.measured_at = step
        for norm in self.net.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                norm.reset_running_stats()
                norm.momentum = None
        self.net.train()
        for _ in range(8):
            run()
        self.net.eval()
