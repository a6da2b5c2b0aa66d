"""The precisions that the weights of a language model come in."""

from collections.abc import Mapping

import torch
from torch import Tensor

PRECISIONS = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
"""By safetensors' names."""


def precisions_of(tensors: Mapping[str, Tensor]) -> set[str]:
    """Of numbers with a point, as safetensors calls them."""
    there = {tensor.dtype for tensor in tensors.values()}
    return {name for name, dtype in PRECISIONS.items() if dtype in there}
