"""A composer: a causal transformer over the tokens of scores, all at once or token by token.

Pre-norm blocks (RMSNorm), rotary positions (Su et al. 2021, 2104.09864), SwiGLU (Shazeer 2020,
2002.05202), fewer heads of keys than of queries (Ainslie et al. 2023, 2305.13245). A token sees the
`window` tokens up to itself and no further, so that a piece may be of any length; what a piece is
(its style, key, tempo and meter) is therefore an input at every token.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nets.activations import silu

TURNS = 10_000.0  # the slowest rotary pair turns once in 2 pi times so many tokens


@dataclass(frozen=True, slots=True)
class Cache:
    """What was read: keys (slots, layers, groups, size, window), values (slots, layers, groups,
    window, size). Token number t of a slot lies at place t % window."""

    keys: Tensor
    values: Tensor


class ComposerModel(nn.Module):
    """Logits of every next token, from the tokens up to it and from what the piece is.

    `facts` says how many values each fact can have; 0 of each is that it is not known.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a checkpoint's configuration
        self,
        vocabulary: int,
        facts: list[int],
        layers: int = 6,
        width: int = 256,
        heads: int = 4,
        groups: int = 2,
        inner: int = 704,
        window: int = 1024,
    ) -> None:
        super().__init__()
        if min(vocabulary, layers, heads, groups, inner, window, *facts) < 1:
            raise ValueError("a composer needs one of everything")
        if width % (2 * heads) or heads % groups:
            raise ValueError(f"{heads} heads in {groups} groups don't share {width} channels")
        self.vocabulary, self.layers, self.groups = vocabulary, layers, groups
        self.size, self.window = width // heads, window
        self.embed = nn.Embedding(vocabulary, width)
        self.told = nn.ModuleList(nn.Embedding(count, width) for count in facts)
        self.blocks = nn.ModuleList(Block(width, heads, groups, inner) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-6)

    def forward(self, tokens: Tensor, facts: Tensor) -> Tensor:
        """Logits (B, T, vocabulary) of what follows; tokens (B, T), facts (B, T, facts)."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        back = positions[:, None] - positions
        seen = (back >= 0) & (back < self.window)  # (T, T)
        turns = turns_of(positions, self.size)
        x = self.begun(tokens, facts)
        for block in self.blocks:
            x = block(x, turns, seen)
        return self._with_facts(x)

    def step(self, x: Tensor, at: Tensor, slot: Tensor, cache: Cache) -> Tensor:
        """Logits (B, vocabulary) after one more token of each row, which is written to the cache.

        x (B, width) as `begun` has it, at and slot (B,): how many tokens came before it, and where
        they are kept. Rows of one slot are one row that fills up a batch.
        """
        turns = turns_of(at[:, None], self.size)
        positions = torch.arange(self.window, device=at.device)
        unseen = positions > at[:, None]  # (B, window); none, once the first is written over
        where = list(zip(slot.tolist(), (at % self.window).tolist(), unseen, strict=True))
        blocks: list[Any] = list(self.blocks)
        for number, block in enumerate(blocks):
            rows = [
                CacheRow(s, cache.keys[s, number], cache.values[s, number], positions, hidden)
                for s, positions, hidden in where
            ]
            x = block.step(x, turns, rows)
        return self._with_facts(x)

    def begun(self, tokens: Tensor, facts: Tensor) -> Tensor:
        """Tokens (...) and facts (..., facts) as the first block takes them, (..., width)."""
        x: Tensor = self.embed(tokens)
        for number, table in enumerate(self.told):
            x = x + table(facts[..., number])
        return x

    def empty(self, slots: int) -> Cache:
        """A cache of so many slots, where the weights are."""
        slot, weight = (slots, self.layers, self.groups), self.embed.weight
        keys = weight.new_zeros(*slot, self.size, self.window)
        return Cache(keys, weight.new_zeros(*slot, self.window, self.size))

    def _with_facts(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.embed.weight)


@dataclass(frozen=True, slots=True)
class CacheRow:
    """Of one row and layer: its slot, its keys (groups, size, window) and values (groups, window,
    size), the place of its token, and which places hold nothing yet."""

    slot: int
    keys: Tensor
    values: Tensor
    index: int
    unseen: Tensor


class Block(nn.Module):
    """Attention, then a gated perceptron, each added to what it was given."""

    def __init__(self, width: int, heads: int, groups: int, inner: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.before = nn.RMSNorm(width, eps=1e-6)
        self.take = nn.Linear(width, (heads + 2 * groups) * self.size, bias=False)
        self.give = nn.Linear(width, width, bias=False)
        self.between = nn.RMSNorm(width, eps=1e-6)
        self.open = nn.Linear(width, 2 * inner, bias=False)
        self.close = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, turns: Tensor, seen: Tensor) -> Tensor:
        """x (B, T, width), turns (T, size / 2, 2), seen (T, T)."""
        q, k, v = self._taken(x, turns)
        k, v = (heads.repeat_interleave(self.heads // self.groups, 1) for heads in (k, v))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        x = x + self.give(attended.transpose(1, 2).flatten(2))
        return x + self._perceived(x)

    def step(self, x: Tensor, turns: Tensor, rows: list[CacheRow]) -> Tensor:
        """x (B, width), turns (B, 1, size / 2, 2). Each row looks at its own cache alone."""
        q, k, v = (t[:, :, 0] for t in self._taken(x[:, None], turns[:, None]))
        attended: dict[int, Tensor] = {}
        for number, row in enumerate(rows):
            if row.slot not in attended:
                attended[row.slot] = self._attended(q[number], k[number], v[number], row)
        x = x + self.give(torch.stack([attended[row.slot] for row in rows]))
        return x + self._perceived(x)

    def _attended(self, q: Tensor, k: Tensor, v: Tensor, row: CacheRow) -> Tensor:
        """What one row finds, (width,); q (heads, size), k and v (groups, size)."""
        row.keys[:, :, row.index], row.values[:, row.index] = k, v
        near = q.view(self.groups, -1, self.size) @ row.keys  # (groups, heads of each, window)
        weight = near.mul_(self.size**-0.5).masked_fill_(row.unseen, -torch.inf).softmax(2)
        return (weight @ row.values).flatten()

    def _taken(self, x: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, heads, T, size), keys and values (B, groups, T, size)."""
        parts = self.take(self.before(x)).unflatten(2, (-1, self.size)).transpose(1, 2)
        q, k, v = parts.split([self.heads, self.groups, self.groups], 1)
        return turned(q, turns), turned(k, turns), v

    def _perceived(self, x: Tensor) -> Tensor:
        signal, gate = self.open(self.between(x)).chunk(2, -1)
        closed: Tensor = self.close(silu(gate) * signal)
        return closed


def turns_of(positions: Tensor, size: int) -> Tensor:
    """Cosine and sine of each pair's angle at these places, (*place, size / 2, 2)."""
    pair = torch.arange(0, size, 2, device=positions.device)
    angle = positions[..., None] * TURNS ** (-pair / size)
    return torch.stack([angle.cos(), angle.sin()], -1)


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """x (..., T, size), whose pairs are its halves; turns (T, size / 2, 2), in single precision
    as is the product: far places differ by little."""
    cos, sin = turns.unbind(-1)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1).to(x.dtype)
