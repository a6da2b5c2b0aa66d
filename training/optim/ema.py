"""A moving average of a net's weights, which is what is served."""

import copy
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
