"""A Llama-like net on the processor: the kernel over caches of its own shape."""

import math
from collections.abc import Mapping, Set

import numpy as np
import torch
from torch import Tensor

from models.engine.batching import Placement
from models.kernels.simd import LANES, ROW_BLOCK, padded
from models.kernels.threads import ThreadTeam
from models.language.backends.llama_numba import LlamaScratch, run, scratch_for, speak
from models.language.backends.llama_weights import PackedLlama, Shape, check, pack
from models.language.backends.precision import precisions_of

CHUNK = 16  # tokens of a prompt that are read in one step: others wait for it


class LlamaNet:
    """Its rows are independent of each other, whatever their number and places: no batch is padded,
    and rows at any places share one."""

    pad_to: int | None = None
    max_batch: int | None = None
    cost_unit = ROW_BLOCK
    chunk = CHUNK

    def __init__(
        self, shape: Shape, tensors: Mapping[str, Tensor], placement: Placement, context: int
    ) -> None:
        """Raises CheckpointError where the weights don't fit."""
        check(shape, tensors)
        self._embed = tensors["model.embed_tokens.weight"]
        self.context, self.vocabulary = min(context, shape.places), shape.vocabulary
        self._places = places_of(shape, context)
        kind = kind_of(precisions_of(tensors), placement)
        self.weights: PackedLlama = pack(shape, tensors, self._places, kind)
        self._cache = cache_of(shape, self._places)
        self.slot_bytes = slot_bytes(shape, context)
        self.caches: tuple[Tensor, ...] = ()
        self._team = ThreadTeam(torch.get_num_threads())

    def allocate(self, slots: int) -> None:
        self.caches = tuple(torch.zeros(slots + 1, *self._cache) for _ in ("keys", "values"))

    def bucket(self, until: int) -> Tensor:
        """Nothing: a row attends over just what is there."""
        return torch.empty(0, dtype=torch.int64)

    def reusable(self, shared: int, prefilled: int) -> int:
        """All: a token's keys and values have the same bits alone and in any chunk."""
        return shared

    def reuse(self, source: int, slot: int, count: int) -> None:
        """Nothing is zeroed: a row reads no place beyond its own, whatever stands there."""
        if source == slot or not count:
            return
        keys, values = self.caches
        _, _, flat = self._cache
        blocks = padded(count) * flat // self._places
        keys[slot, :, :, :blocks] = keys[source, :, :, :blocks]
        parted = values.view(*values.shape[:3], -1, self._places, LANES)
        parted[slot, :, :, :, :count] = parted[source, :, :, :, :count]

    def prefill(self, tokens: Tensor, start: Tensor, slot: Tensor, bucket: Tensor) -> None:
        places = start[:, None] + torch.arange(tokens.shape[1])
        self._run(tokens.flatten(), places.flatten(), slot.repeat_interleave(tokens.shape[1]))

    def logits(self, token: Tensor, position: Tensor, slot: Tensor, bucket: Tensor) -> Tensor:
        scratch, rows = self._run(token, position, slot), len(token)
        logits = np.empty((len(scratch.x), padded(self.vocabulary)), np.float32)
        self._team.run(speak, self.weights, scratch, logits, rows)
        return torch.from_numpy(logits)[:rows, : self.vocabulary]

    def _run(self, tokens: Tensor, places: Tensor, slots: Tensor) -> LlamaScratch:
        scratch = scratch_for(self.weights, len(tokens), self._places, self._team.size)
        hidden = self._embed.shape[1]
        scratch.x[: len(tokens), :hidden] = self._embed[tokens].float().numpy()
        caches = tuple(cache.numpy() for cache in self.caches)
        self._team.run(run, self.weights, scratch, caches, (slots.numpy(), places.numpy()))
        return scratch


def places_of(shape: Shape, context: int) -> int:
    """Places of a slot: a prompt's last chunk is written whole, wherever it begins."""
    return padded(min(context, shape.places) + CHUNK)


def cache_of(shape: Shape, places: int) -> tuple[int, int, int]:
    """The keys of a slot, or its values."""
    return shape.layers, shape.groups, places * shape.width


def slot_bytes(shape: Shape, context: int) -> int:
    """What keys and values of one text take."""
    return 2 * 4 * math.prod(cache_of(shape, places_of(shape, context)))


def kind_of(precisions: Set[str], placement: Placement) -> torch.dtype:
    """How narrow weights may be: as was asked for, else as they came, by safetensors' names of it,
    which loses nothing; those of float16 need single precision for that."""
    if placement.language_dtype is not None:
        return placement.language_dtype
    came_narrow = "BF16" in precisions and not precisions & {"F16", "F32"}
    half = came_narrow or placement.dtype == torch.bfloat16
    return torch.bfloat16 if half else torch.float32
