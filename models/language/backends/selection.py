"""What a language model's net does for its stories, and which suits a checkpoint and a place."""

from collections.abc import Mapping, Set
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from models.checkpoint.configs import LanguageNet
from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.language.backends.precision import PRECISIONS
from models.language.prefix_slots import ReusableCache
from models.language.sampling import Draw, drawn
from models.language.tokenizer import TENSOR

if TYPE_CHECKING:
    from models.language.backends.llama_weights import Shape

MOST_SLOTS, ROOM = 16, 2**30  # slots, and bytes that their caches take together, at most


class Net(ReusableCache, Protocol):
    """Turns tokens into logits, over the caches of its slots."""

    context: int  # tokens of a text, at most
    vocabulary: int
    chunk: int  # tokens that it reads in one step
    pad_to: int | None  # as of `BatchedFn`
    max_batch: int | None
    cost_unit: int
    slot_bytes: int
    caches: tuple[Tensor, ...]  # (slots + 1, ...) each, once it is allocated

    def allocate(self, slots: int) -> None:
        """Make the caches of so many slots, and of the one that padding writes to."""

    def bucket(self, until: int) -> Tensor:
        """Positions that a row ending at `until` attends over: rows of one bucket share a
        batch."""

    def prefill(self, tokens: Tensor, start: Tensor, slot: Tensor, bucket: Tensor) -> None:
        """Write what becomes of tokens (B, C), which begin at `start` (B,), into slots (B,)."""

    def logits(self, token: Tensor, position: Tensor, slot: Tensor, bucket: Tensor) -> Tensor:
        """(B, V) of what follows tokens (B,) at their places (B,); they are written too."""


def net_of(checkpoint: Checkpoint, placement: Placement) -> Net:
    """The fastest net that a checkpoint and this place allow. Raises CheckpointError."""
    net = LanguageNet.parse(checkpoint.header.net)
    tensors = {name: t for name, t in checkpoint.tensors.items() if name != TENSOR}
    fast = _fast(net.config, placement)
    if fast is not None:
        from models.language.backends.llama import LlamaNet

        return LlamaNet(fast, tensors, placement, net.context)
    if placement.language_dtype == torch.int8:
        raise CheckpointError("its weights can't be int8: it is no Llama-like net on a processor")
    from models.language.backends.transformers_backend import (
        CausalNet,  # transformers takes seconds to load
    )

    return CausalNet(net.config, tensors, placement, net.context)


def _fast(config: Mapping[str, Any], placement: Placement) -> "Shape | None":
    """The shape of a net that the kernel can run here."""
    if not _has_kernels(placement):
        return None
    from models.language.backends.llama_weights import Shape  # numba takes a second to load

    return Shape.of(config)


def slots_of(slot_bytes: int, weights: int, placement: Placement) -> int:
    """Texts that are written side by side, where each has caches of so many bytes: as many as fit
    into ROOM and beside the weights, with the slot that padding writes to; at least one."""
    room = ROOM if placement.memory_limit is None else min(ROOM, placement.memory_limit - weights)
    return max(1, min(MOST_SLOTS, room // slot_bytes - 1))


def weight_bytes(
    net: LanguageNet, elements: int, precisions: Set[str], placement: Placement
) -> int:
    """What the weights of a net take: by the kernel in the precision that loses nothing, and the
    table of tokens once more as it came."""
    shape = _fast(net.config, placement)
    if shape is None:
        return elements * (placement.language_dtype or placement.dtype).itemsize
    from models.language.backends.llama import kind_of

    came = max(PRECISIONS[name].itemsize for name in precisions & PRECISIONS.keys())
    table = shape.vocabulary * shape.hidden
    packed = elements if shape.tied else elements - table
    return packed * kind_of(precisions, placement).itemsize + table * came


def loaded_bytes(header: Header, elements: int, precisions: Set[str], placement: Placement) -> int:
    """What a model takes in memory: the weights, and the caches of all slots."""
    net = LanguageNet.parse(header.net)
    weights = weight_bytes(net, elements, precisions, placement)
    shape = _fast(net.config, placement)
    if shape is not None:
        from models.language.backends.llama import slot_bytes

        slot = slot_bytes(shape, net.context)
        return weights + (slots_of(slot, weights, placement) + 1) * slot
    left = ROOM if placement.memory_limit is None else max(0, placement.memory_limit - weights)
    return weights + min(ROOM, left)  # as much as its caches may take


def draw_of(vocabulary: int, placement: Placement) -> Draw:
    """The fastest way to draw tokens that this place allows."""
    if not _has_kernels(placement):
        return drawn
    from models.language.sampling_numba import TokenKernel

    return TokenKernel(vocabulary).drawn


def _has_kernels(placement: Placement) -> bool:
    return placement.device.type == "cpu" and find_spec("numba") is not None
