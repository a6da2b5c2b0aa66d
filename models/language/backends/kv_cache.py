"""A cache for transformers that writes at slot and place: rows at different places share a pass.

It is made for each pass, around tensors that live as long as the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

Base: Any = CacheLayerMixin  # it has no types


@dataclass(frozen=True, slots=True)
class Rows:
    """Where the rows of one pass write, and how far they look."""

    slot: Tensor  # (B,)
    places: Tensor  # (B, C)
    length: int  # places that they attend over


class SlotLayer(Base):  # type: ignore[misc]
    """One layer's keys and values, (slots + 1, heads, places, width) each."""

    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor, rows: Rows) -> None:
        super().__init__()
        self.keys, self.values, self._rows = keys, values, rows
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (B, heads, C, width) of each, and give what the rows attend over."""
        return self._written(self.keys, key_states), self._written(self.values, value_states)

    def _written(self, cache: Any, states: Tensor) -> Tensor:
        slot, places = self._rows.slot, self._rows.places
        cache[slot[:, None], :, places] = states.transpose(1, 2)
        seen: Tensor = cache[:, :, : self._rows.length].index_select(0, slot)
        return seen

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing is left to be made."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._rows.length, 0

    def get_seq_length(self) -> int:
        return self._rows.length

    def get_max_length(self) -> int:
        return self._rows.length


def slot_cache(caches: Sequence[Tensor], rows: Rows) -> Cache:
    """Over keys and values by turns, a pair a layer."""
    pairs = zip(caches[::2], caches[1::2], strict=True)
    return Cache(layers=[SlotLayer(keys, values, rows) for keys, values in pairs])
