"""The slots of a language model, which remember the tokens that they were left with.

Keys and values of a token depend on the tokens before it alone. So a prompt that begins as some
slot does need not be read from its beginning: a chat's next turn reads what is new in it.

1. A flow gets a slot whose first places are what reading its prompt from the beginning would have
   written, bit for bit; the net says how far that goes.
2. A slot is taken as it is if the prompt goes on from most of what it has. Otherwise the shared
   beginning is copied to the free slot that was used least recently, so that no text is lost for
   the sake of a short one.
3. Texts of one owner are never reused for another: how soon an answer comes would tell who asked
   for what.
4. A flow that fails leaves nothing that is reused. One that is canceled leaves what was read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from models.engine.batching import SeamError
from models.engine.slots import SCRATCH


class ReusableCache(Protocol):
    """Keys and values of slots, as far as their reuse goes."""

    def reusable(self, shared: int, prefilled: int) -> int:
        """Of the first `shared` places of a slot, as many as have the bits that reading a prompt
        from its beginning writes. The first `prefilled` were read in whole chunks."""

    def reuse(self, source: int, slot: int, count: int) -> None:
        """Let a slot begin with the first `count` places of another, or of itself."""


@dataclass(slots=True, eq=False)
class TextSlot:
    """A slot, and the tokens whose keys and values its first places hold."""

    number: int
    owner: str = ""
    tokens: list[int] = field(default_factory=list)
    prefilled: int = 0  # tokens at the beginning that were read in whole chunks

    def shared(self, tokens: Sequence[int]) -> int:
        """With how many tokens both begin."""
        pairs = enumerate(zip(self.tokens, tokens, strict=False))
        return next((i for i, (a, b) in pairs if a != b), min(len(self.tokens), len(tokens)))

    def truncate(self, count: int) -> None:
        """Forget all but the first tokens: their places are written over from now on."""
        del self.tokens[count:]
        self.prefilled = min(self.prefilled, count)

    def extend(self, tokens: Sequence[int], chunk: int) -> None:
        """Note tokens that were read in one step, of `chunk` tokens at most."""
        in_whole_chunks = self.prefilled == len(self.tokens) and len(self.tokens) % chunk == 0
        if in_whole_chunks and len(tokens) == chunk:
            self.prefilled += chunk
        self.tokens += tokens


class PrefixSlots:
    """Hands out slots of a cache whose row SCRATCH is never taken."""

    def __init__(self, cache: ReusableCache, count: int) -> None:
        self._cache = cache
        self._slots = [TextSlot(number) for number in range(SCRATCH + 1, SCRATCH + 1 + count)]
        self._free = list(self._slots)  # the least recently used first

    @property
    def free(self) -> int:
        """How many can be taken now."""
        return len(self._free)

    def forget(self) -> None:
        """Let no text of before be reused."""
        for slot in self._free:
            slot.truncate(0)

    @contextmanager
    def take(self, prompt: Sequence[int] = (), owner: str = "") -> Iterator[TextSlot]:
        """A slot for as long as the block lasts, with as much of a prompt as some slot has.

        The last token of the prompt is never among it, since that one is drawn from. Raises
        SeamError if none is free: a family takes no more flows than it has slots.
        """
        if not self._free:
            raise SeamError("more flows than slots: max_items must count them")
        source, count = self._longest(prompt, owner)
        slot = self._target(source, count) if count else self._least_worth(self._free)
        self._free.remove(slot)
        tokens, prefilled = source.tokens[:count], min(source.prefilled, count)
        try:
            slot.truncate(0)
            self._cache.reuse(source.number, slot.number, count)
            slot.owner, slot.tokens, slot.prefilled = owner, tokens, prefilled
            yield slot
        except Exception:
            slot.truncate(0)  # it may hold what is no number
            raise
        finally:
            self._free.append(slot)

    def _longest(self, prompt: Sequence[int], owner: str) -> tuple[TextSlot, int]:
        """The slot that has most of a prompt, in use or not, and how many tokens of it."""
        counts = [self._count(slot, prompt) if slot.owner == owner else 0 for slot in self._slots]
        count = max(counts)
        return self._slots[counts.index(count)], count

    def _count(self, slot: TextSlot, prompt: Sequence[int]) -> int:
        shared = min(slot.shared(prompt), len(prompt) - 1)
        return self._cache.reusable(shared, slot.prefilled) if shared > 0 else 0

    def _target(self, source: TextSlot, count: int) -> TextSlot:
        """The slot to write in, where the first tokens of `source` are reused."""
        others = [slot for slot in self._free if slot is not source]
        mostly = 2 * count >= len(source.tokens)
        if not others or (mostly and source in self._free):
            return source
        return self._least_worth(others)

    @staticmethod
    def _least_worth(slots: Sequence[TextSlot]) -> TextSlot:
        """One that holds nothing, else the one that was used least recently."""
        return next((slot for slot in slots if not slot.tokens), slots[0])
