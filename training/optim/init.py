"""First weights, drawn from a generator of their own instead of torch's global one."""

import math
from typing import TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)
LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def initialise(net: N, rng: torch.Generator) -> N:
    """Torch's own law, uniform within 1 / sqrt(fan in), for every convolution and linear layer."""
    for module in net.modules():
        if isinstance(module, LAYERS):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for parameter in module.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=rng)
    return net


def scale_normal(net: N, rng: torch.Generator, deviation: float = 0.02) -> N:
    """N(0, 0.02) for every convolution: Radford et al. 2015 (1511.06434), section 4."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.normal_(module.weight, std=deviation, generator=rng)
    return net


def embed_normal(net: N, rng: torch.Generator) -> N:
    """N(0, 1) for every embedding, as torch has it."""
    for module in net.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, generator=rng)
    return net
