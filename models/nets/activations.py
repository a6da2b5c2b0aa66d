"""Activations whose bits don't depend on where in a tensor a value stands.

On a processor torch works out silu, sigmoid and gelu a few vectors at a time, and the few values
that are left at the end of each thread's part one by one, by another exponential: a row would have
other bits at the end of a batch than at its beginning. So a tensor that would leave any is filled
up until it leaves none.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Function = Callable[[Tensor], Tensor]  # of every value by itself
VECTORS = 64  # values that are taken at once, at most
ALONE, GRAIN = 25_600, 32_768
"""Values that one thread always takes alone, and that torch gives a thread at least. gelu gives
each thread as many; the others use as many threads as there are whole grains for."""


def evenly(function: Function, x: Tensor) -> Tensor:
    """`function` of x, of any shape, with no value left over for the slower way."""
    if x.device.type != "cpu" or (_dense(x) and _filled(x.numel()) == x.numel()):
        return function(x)
    count = x.numel()
    flat = F.pad(x.reshape(-1), (0, _filled(count) - count))
    return function(flat)[:count].view(x.shape)


def _dense(x: Tensor) -> bool:
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


def _filled(count: int) -> int:
    """So many values that every thread has whole vectors, whichever way they are shared out."""
    threads = torch.get_num_threads()
    while True:
        shared = 1 if count <= ALONE else threads * min(threads, -(-count // GRAIN))
        each = VECTORS * shared
        if count % each == 0:
            return count
        count += each - count % each


def silu(x: Tensor) -> Tensor:
    """x times its sigmoid (Hendrycks and Gimpel 2016, 1606.08415, section 2)."""
    return evenly(F.silu, x)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return evenly(torch.sigmoid, x)


def gelu(x: Tensor) -> Tensor:
    """x times the normal distribution up to x (the same paper, section 2)."""
    return evenly(F.gelu, x)


def gelu_by_tanh(x: Tensor) -> Tensor:
    """The approximation that the paper gives there."""
    return evenly(_gelu_by_tanh, x)


def _gelu_by_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def quick_gelu(x: Tensor) -> Tensor:
    """x times the sigmoid of 1.702 x, the paper's other approximation."""
    return x * sigmoid(1.702 * x)


class Activation(nn.Module):
    """One of these as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


EVEN: Mapping[str, Function] = {
    "SiLU": silu,
    "SiLUActivation": silu,
    "GELUActivation": gelu,
    "GELUTanh": gelu_by_tanh,
    "QuickGELU": quick_gelu,
    "QuickGELUActivation": quick_gelu,
}
"""What stands for modules of torch, open_clip and transformers, by the names of their classes."""


def make_even(net: nn.Module) -> None:
    """Put these in place of another package's own, wherever a net has them."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            kind = type(child).__name__
            if isinstance(child, nn.GELU):
                setattr(
                    module, name, Activation(gelu if child.approximate == "none" else gelu_by_tanh)
                )
            elif kind in EVEN:
                setattr(module, name, Activation(EVEN[kind]))
        if type(module).__name__ == "GEGLU":  # of diffusers, which has it as a method
            module.gelu = gelu  # type: ignore[assignment]
