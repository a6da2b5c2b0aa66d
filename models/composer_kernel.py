"""A composer's token as machine code: as fast as its weights can be read.

What it does is `nets.composer.Composer.step`, which it is tested against. A row's bits depend
neither on its neighbours nor on how many they are (`models/lanes.py`), so batches need no padding;
four rows abreast share each read of the weights, and each looks at its own cache for exactly as
many tokens as there are.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.lanes import ABREAST, Floats, blocks_of, compiled, exp, multiply, padded, tanh
from models.nets.composer import Cache, Composer, turns_of

Numbers = NDArray[np.int64]
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
TINY = np.float32(1e-6)  # of RMSNorm


class Packed(NamedTuple):
    """A composer's weights as the kernel reads them; matrices in blocks of outputs."""

    layers: int
    heads: int
    groups: int
    size: int
    window: int
    before: Floats  # (layers, width), what attention's input is scaled by
    between: Floats  # (layers, width), and the perceptron's
    last: Floats  # (width,), and the output's
    take: Floats  # of all layers, width to (heads + 2 groups) size
    give: Floats  # width to width
    open: Floats  # width to 2 inner
    close: Floats  # inner to width
    out: Floats  # width to vocabulary


class Desk(NamedTuple):
    """Where up to `ABREAST` rows are worked out, ends of vectors included."""

    x: Floats  # the stream
    h: Floats  # what a layer takes in
    taken: Floats  # queries, keys and values
    found: Floats
    wide: Floats  # signals, then gates
    inner: Floats
    logits: Floats
    weight: Floats  # (window,), of one head


def packed(net: Composer) -> Packed:
    """Copies them."""
    blocks: list[Any] = list(net.blocks)
    return Packed(
        net.layers,
        blocks[0].heads,
        net.groups,
        net.size,
        net.window,
        _rows(block.before for block in blocks),
        _rows(block.between for block in blocks),
        _plain(net.norm.weight),
        _matrices(block.take for block in blocks),
        _matrices(block.give for block in blocks),
        _matrices(block.open for block in blocks),
        _matrices(block.close for block in blocks),
        _matrices([net.embed]),
    )


def _plain(tensor: Tensor) -> Floats:
    return tensor.detach().float().contiguous().numpy().copy()


def _rows(modules: Any) -> Floats:
    return np.stack([_plain(module.weight) for module in modules])


def _matrices(modules: Any) -> Floats:
    return blocks_of(np.stack([_plain(module.weight).T for module in modules]))


def desk_for(weights: Packed, inner: int, vocabulary: int) -> Desk:
    def rows(width: int) -> Floats:
        return np.zeros((ABREAST, padded(width)), np.float32)

    width = weights.last.shape[0]
    return Desk(
        rows(width),
        rows(width),
        rows((weights.heads + 2 * weights.groups) * weights.size),
        rows(width),
        rows(2 * inner),
        rows(inner),
        rows(vocabulary),
        np.zeros(weights.window, np.float32),
    )


class Stepper:
    """The weights of one net, and a desk of their own."""

    def __init__(self, net: Composer) -> None:
        self._weights, self._size = packed(net), net.size
        block: Any = net.blocks[0]
        self._inner, self._vocabulary = block.close.in_features, net.vocabulary
        self._desk = desk_for(self._weights, self._inner, self._vocabulary)

    def __call__(self, x: Tensor, at: Tensor, slot: Tensor, cache: Cache) -> Tensor:
        logits = torch.empty(len(x), self._vocabulary)
        turns = turns_of(at, self._size).contiguous()  # (B, size / 2, 2)
        given = (x.contiguous(), turns, at, slot)
        kept = (cache.keys.numpy(), cache.values.numpy())
        _run(self._weights, self._desk, kept, tuple(t.numpy() for t in given), logits.numpy())
        return logits


@compiled
def _run(weights: Packed, desk: Desk, kept: Any, given: Any, logits: Floats) -> None:
    """ABREAST rows, then the next."""
    x, turns, at, slot = given
    width = x.shape[1]
    for first in range(0, len(x), ABREAST):
        rows = min(ABREAST, len(x) - first)
        for row in range(rows):
            desk.x[row, :width] = x[first + row]
        for layer in range(weights.layers):
            _attend(weights, desk, kept, (turns, at, slot), (layer, first, rows))
            _perceive(weights, desk, layer, rows)
        _scaled(desk, weights.last, rows)
        _product(weights.out, desk.h, desk.logits, (0, width), rows)
        for row in range(rows):
            logits[first + row] = desk.logits[row, : logits.shape[1]]


@compiled
def _attend(weights: Packed, desk: Desk, kept: Any, given: Any, which: Any) -> None:
    keys, values = kept
    turns, at, slot = given
    layer, first, rows = which
    width, size, window = len(weights.last), weights.size, weights.window
    inputs = weights.heads * size
    _scaled(desk, weights.before[layer], rows)
    _product(weights.take, desk.h, desk.taken, (layer, width), rows)
    for row in range(rows):
        number, place = slot[first + row], at[first + row] % window
        count = min(at[first + row] + 1, window)
        for head in range(weights.heads + weights.groups):
            _turn(desk.taken[row, head * size : (head + 1) * size], turns[first + row])
        for group in range(weights.groups):
            key = inputs + group * size
            value = key + weights.groups * size
            for i in range(size):
                keys[number, layer, group, i, place] = desk.taken[row, key + i]
                values[number, layer, group, place, i] = desk.taken[row, value + i]
        for head in range(weights.heads):
            group = head * weights.groups // weights.heads
            here = slice(head * size, (head + 1) * size)
            _look(
                desk.taken[row, here],
                keys[number, layer, group],
                values[number, layer, group],
                desk.weight[:count],
                desk.found[row, here],
            )
    at_once = (layer * inputs * desk.x.shape[1], 0, 0, desk.found.shape[1], desk.x.shape[1], inputs)
    multiply(weights.give, desk.found, desk.x, at_once, desk.x.shape[1], rows)


@compiled
def _look(query: Floats, keys: Floats, values: Floats, weight: Floats, found: Floats) -> None:
    """What one head finds: keys (size, window), values (window, size), a weight for each token."""
    count, size = len(weight), len(query)
    for p in range(count):
        weight[p] = ZERO
    for i in range(size):
        scale = query[i] / np.float32(np.sqrt(size))
        for p in range(count):
            weight[p] += scale * keys[i, p]
    most = weight[0]
    for p in range(count):
        most = max(most, weight[p])
    for p in range(count):
        weight[p] = exp(weight[p] - most)
    total = ZERO
    for p in range(count):
        total += weight[p]
    for i in range(size):
        found[i] = ZERO
    for p in range(count):
        part = weight[p] / total
        for i in range(size):
            found[i] += part * values[p, i]


@compiled
def _perceive(weights: Packed, desk: Desk, layer: int, rows: int) -> None:
    width, inner = len(weights.last), desk.inner.shape[1]
    _scaled(desk, weights.between[layer], rows)
    _product(weights.open, desk.h, desk.wide, (layer, width), rows)
    count = len(weights.close) // weights.layers // desk.x.shape[1]
    for row in range(rows):
        for i in range(count):
            gate = desk.wide[row, count + i]
            desk.inner[row, i] = desk.wide[row, i] * gate * (HALF + HALF * tanh(HALF * gate))
    at = (layer * count * desk.x.shape[1], 0, 0, inner, desk.x.shape[1], count)
    multiply(weights.close, desk.inner, desk.x, at, desk.x.shape[1], rows)


@compiled
def _product(w: Floats, x: Floats, y: Floats, which: Any, rows: int) -> None:
    """y = w x, of one layer's matrix."""
    layer, count = which
    for row in range(rows):
        for i in range(y.shape[1]):
            y[row, i] = ZERO
    at = (layer * count * y.shape[1], 0, 0, x.shape[1], y.shape[1], count)
    multiply(w, x, y, at, y.shape[1], rows)


@compiled
def _scaled(desk: Desk, weight: Floats, rows: int) -> None:
    """RMSNorm (Zhang and Sennrich 2019, 1910.07467) of the stream."""
    width = len(weight)
    for row in range(rows):
        total = ZERO
        for i in range(width):
            total += desk.x[row, i] * desk.x[row, i]
        scale = ONE / np.sqrt(total / np.float32(width) + TINY)
        for i in range(width):
            desk.h[row, i] = desk.x[row, i] * scale * weight[i]


@compiled
def _turn(x: Floats, turns: Floats) -> None:
    half = len(x) // 2
    for i in range(half):
        a, b = x[i], x[half + i]
        x[i] = a * turns[i, 0] - b * turns[i, 1]
        x[half + i] = a * turns[i, 1] + b * turns[i, 0]
