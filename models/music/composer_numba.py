"""A composer's step as machine code: a token as fast as the weights can be read.

Logits are those of `nets.composer.Composer.step`, which this is tested against; a slot of the cache
is laid out for the products that attention is made of (`models/kernels/simd.py`). Up to four rows
share each read of the weights, and every row looks at as many places of its own slot as it has
seen. Its bits do not depend on its neighbours, so batches need no padding.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.kernels import categorical_numba
from models.kernels.simd import LANES, ROW_BLOCK, Floats, Weights, compiled, exp, multiply, padded
from models.music.composer_weights import TILE, ComposerScratch, PackedComposer, scratch_for
from models.nets.composer import Cache

ZERO, ONE, INFINITE = np.float32(0), np.float32(1), np.float32(np.inf)


def next_logits(
    weights: PackedComposer, x: Tensor, at: Tensor, slot: Tensor, cache: Cache
) -> Tensor:
    """As `Composer.step`, on the CPU and over a cache of `empty`.

    Rows are shared out among torch's threads by fours, which share a read of the weights.
    """
    logits = torch.empty(len(x), weights.vocabulary)
    whole = [tensor.contiguous() for tensor in (x, at, slot, logits)]
    fours = -(-len(x) // ROW_BLOCK)
    each = -(-fours // torch.get_num_threads()) * ROW_BLOCK
    parts = [[t[first : first + each].numpy() for t in whole] for first in range(0, len(x), each)]
    run = partial(_step, weights, cache.keys.numpy(), cache.values.numpy())
    if len(parts) == 1:
        run(parts[0])
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(run, parts))
    return logits


def _step(weights: PackedComposer, keys: Floats, values: Floats, chunk: list[Any]) -> None:
    *rows, logits = chunk
    _run(weights, scratch_for(weights), (keys, values), tuple(rows), logits)


def draw(logits: Tensor, u: Tensor, temperature: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    """As `wavenet_steps.draw`, on the CPU and a row at a time."""
    chances, parts = np.zeros(padded(logits.shape[1]), np.float32), np.zeros(LANES, np.float32)
    rows = zip(*(t.numpy() for t in (logits, u, temperature, top_p)), strict=True)
    numbers = torch.tensor(
        [categorical_numba.draw(row, by, heat, top, chances, parts) for row, by, heat, top in rows]
    )
    return numbers.clamp(min=0), numbers >= 0


@compiled
def _run(
    weights: PackedComposer, scratch: ComposerScratch, cache: Any, inputs: Any, logits: Floats
) -> None:
    """The step of ROW_BLOCK rows, then that of the next; their slots are written."""
    x, at, slot = inputs
    width, last = weights.norms.shape[1], len(weights.norms) - 1
    for first in range(0, len(x), ROW_BLOCK):
        rows = min(ROW_BLOCK, len(x) - first)
        for row in range(rows):
            n = first + row
            for i in range(
                scratch.x.shape[1]
            ):  # its end too, where another row's may be no numbers
                scratch.x[row, i] = x[n, i] if i < width else ZERO
            _turns(weights.speeds, at[n], scratch.turns[row])
        for layer in range(last // 2):
            _norm(weights, scratch, 2 * layer, rows)
            _apply(weights.take, layer, scratch.normed, width, scratch.taken, rows)
            for row in range(rows):
                n = first + row
                cached = (cache[0][slot[n], layer], cache[1][slot[n], layer])
                _turn(scratch.taken[row], scratch.turns[row], weights.heads + weights.groups)
                _remember(weights, scratch.taken[row], cached, at[n] % weights.window)
                _look(weights, scratch, cached, row, min(at[n] + 1, weights.window))
            _add(weights.give, layer, scratch.attended, width, scratch.x, rows)
            _norm(weights, scratch, 2 * layer + 1, rows)
            _apply(weights.open, layer, scratch.normed, width, scratch.opened, rows)
            for row in range(rows):
                _gate(scratch.opened[row], scratch.closed[row, : weights.inner])
            _add(weights.close, layer, scratch.closed, weights.inner, scratch.x, rows)
        _norm(weights, scratch, last, rows)
        _apply(weights.out, 0, scratch.normed, width, scratch.logits, rows)
        for row in range(rows):
            for i in range(logits.shape[1]):
                logits[first + row, i] = scratch.logits[row, i]


@compiled
def _turns(speeds: Floats, at: int, turns: Floats) -> None:
    """Cosines, then sines."""
    for i in range(len(speeds)):
        angle = np.float32(at) * speeds[i]
        turns[i], turns[len(speeds) + i] = math.cos(angle), math.sin(angle)


@compiled
def _norm(weights: PackedComposer, scratch: ComposerScratch, number: int, rows: int) -> None:
    """RMSNorm of x."""
    width = weights.norms.shape[1]
    for row in range(rows):
        scratch.parts[:] = ZERO
        for start in range(0, scratch.x.shape[1], LANES):  # zeros fill it up
            for lane in range(LANES):
                scratch.parts[lane] += scratch.x[row, start + lane] * scratch.x[row, start + lane]
        scale = ONE / np.sqrt(_total(scratch.parts) / np.float32(width) + weights.eps)
        for i in range(width):
            scratch.normed[row, i] = scratch.x[row, i] * scale * weights.norms[number, i]


@compiled
def _total(parts: Floats) -> Any:
    total = ZERO
    for value in parts:
        total += value
    return total


@compiled
def _apply(w: Weights, layer: int, x: Floats, inputs: int, y: Floats, rows: int) -> None:
    """y = w x, w being a layer's."""
    for row in range(rows):
        for i in range(y.shape[1]):
            y[row, i] = ZERO
    _add(w, layer, x, inputs, y, rows)


@compiled
def _add(w: Weights, layer: int, x: Floats, inputs: int, y: Floats, rows: int) -> None:
    """y += w x, w being a layer's."""
    at = (layer * inputs * y.shape[1], 0, 0, x.shape[1], y.shape[1], inputs)
    multiply(w, x, y, at, y.shape[1], rows)


@compiled
def _turn(taken: Floats, turns: Floats, heads: int) -> None:
    """Rotary positions of so many heads, whose pairs are their halves."""
    half = len(turns) // 2
    for head in range(heads):
        first = taken[head * 2 * half : head * 2 * half + half]
        second = taken[head * 2 * half + half : (head + 1) * 2 * half]
        for i in range(half):
            a, b, cos, sin = first[i], second[i], turns[i], turns[half + i]
            first[i], second[i] = a * cos - b * sin, a * sin + b * cos


@compiled
def _remember(weights: PackedComposer, taken: Floats, cached: Any, position: int) -> None:
    """Write a token's keys and values where `empty` says."""
    keys, values = cached
    size, tile = weights.size, position // TILE * TILE
    for group in range(weights.groups):
        key = (weights.heads + group) * size
        value = key + weights.groups * size
        for i in range(size):
            keys[group, (position // LANES * size + i) * LANES + position % LANES] = taken[key + i]
            block = tile * weights.filled + i // LANES * LANES * TILE
            values[group, block + position % TILE * LANES + i % LANES] = taken[value + i]


@compiled
def _look(
    weights: PackedComposer, scratch: ComposerScratch, cached: Any, row: int, count: int
) -> None:
    """What the heads of a row find in so many places of its slot."""
    keys, values = cached
    size, filled, each = weights.size, weights.filled, weights.heads // weights.groups
    places = -(-count // TILE) * TILE
    attended = row * scratch.attended.shape[1]
    for i in range(scratch.attended.shape[1]):
        scratch.attended[row, i] = ZERO
    for head in range(weights.heads):
        scratch.near[0, :places] = ZERO
        at = (0, row * scratch.taken.shape[1] + head * size, 0, 0, 0, size)
        multiply(keys[head // each], scratch.taken, scratch.near, at, places, 1)
        total = _weigh(scratch.near[0, :places], count, size, scratch.parts)
        for tile in range(0, places, TILE):
            at = (tile * filled, tile, attended + head * size, 0, 0, TILE)
            multiply(values[head // each], scratch.near, scratch.attended, at, filled, 1)
        for i in range(head * size, (head + 1) * size):
            scratch.attended[row, i] /= total


@compiled
def _weigh(near: Floats, count: int, size: int, parts: Floats) -> Any:
    """Softmax over the first so many, but for what all are to be divided by, which it gives."""
    scale = ONE / np.sqrt(np.float32(size))
    for i in range(count):
        near[i] *= scale
    near[count:] = -INFINITE
    most = _most(near, parts)
    parts[:] = ZERO
    for start in range(0, len(near), LANES):
        vector = near[start : start + LANES]
        for lane in range(LANES):
            weight = exp(vector[lane] - most)  # of -inf a little
            vector[lane] = ZERO if vector[lane] == -INFINITE else weight
            parts[lane] += vector[lane]
    return _total(parts)


@compiled
def _most(near: Floats, parts: Floats) -> Any:
    """The largest; what is no number may be passed over, and makes none later."""
    parts[:] = -INFINITE
    for start in range(0, len(near), LANES):
        vector = near[start : start + LANES]
        for lane in range(LANES):
            parts[lane] = vector[lane] if vector[lane] > parts[lane] else parts[lane]
    most = parts[0]
    for value in parts:
        most = max(most, value)
    return most


@compiled
def _gate(opened: Floats, closed: Floats) -> None:
    """SwiGLU: the signal times silu of the gate."""
    inner = len(closed)
    signal, gate = opened[:inner], opened[inner : 2 * inner]
    for i in range(inner):  # each indexed by i alone, or it is not compiled to vectors
        small = exp(-abs(gate[i]))
        open_by = (ONE if gate[i] > ZERO else small) / (ONE + small)
        closed[i] = signal[i] * gate[i] * open_by
