"""Rows of preallocated caches: a flow takes one, and gives it back however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from models.engine.batching import SeamError

SCRATCH = 0
"""The row that padding writes to. No flow takes it."""


class Slots:
    """Caches of one shape, (slots + 1, ...), whose row 0 is scratch.

    A slot is zeroed when it is taken: masked positions must still be numbers, and a flow must not
    depend on the one before it.
    """

    def __init__(self, *caches: Tensor) -> None:
        sizes = {len(cache) for cache in caches}
        if len(sizes) != 1 or min(sizes) < 2:
            raise ValueError("caches must have as many rows, one for scratch and one to take")
        self._caches = caches
        self._free = list(range(min(sizes) - 1, SCRATCH, -1))  # the lowest is taken first

    @property
    def free(self) -> int:
        """How many can be taken now."""
        return len(self._free)

    @contextmanager
    def take(self) -> Iterator[int]:
        """A slot for as long as the block lasts.

        Raises SeamError if none is free: a family takes no more flows than it has slots.
        """
        if not self._free:
            raise SeamError("more flows than slots: max_items must count them")
        slot = self._free.pop()
        try:
            for cache in self._caches:
                cache[slot].zero_()
            yield slot
        finally:
            self._free.append(slot)
