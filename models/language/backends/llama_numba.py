"""A Llama-like net as machine code: logits as fast as its weights can be read.

A lone text needs every weight once a token, so it runs as fast as they come from memory, and texts
side by side share each read. Rows have their slots and positions, and attend over just what is
there, so a row's bits depend neither on its neighbours (`models/kernels/simd.py`) nor on how long
its slot is: batches need no padding, and texts of any length share them. Threads share the work out
by outputs, rows and heads, so their number changes no bit either. Results are those of
transformers, which this is tested against, but for the order in which sums are taken.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernels.simd import LANES, ROW_BLOCK, WIDE, Floats, compiled, exp, multiply, padded
from models.kernels.threads import Member, barrier, share
from models.language.backends.llama_weights import Matrix, PackedLlama

Numbers = NDArray[np.int64]
ZERO, ONE = np.float32(0), np.float32(1)
CHUNK = LANES * WIDE  # outputs whose weights are read for all rows before the next ones


class LlamaScratch(NamedTuple):
    """Where rows are worked out; a whole number of ROW_BLOCK of them, ends of vectors included."""

    x: Floats  # the stream that layers add to
    normed: Floats
    taken: Floats  # queries, keys and values, and some more for what is read beyond the last head
    heads: Floats  # what attention gives
    added: Floats  # what a layer adds to x
    inner: Floats
    scores: Floats  # (members, ROW_BLOCK, places), of heads that share keys
    weighted: Floats  # (members, ROW_BLOCK, width), values by their weights


def scratch_for(weights: PackedLlama, rows: int, places: int, members: int) -> LlamaScratch:
    many = -(-rows // ROW_BLOCK) * ROW_BLOCK
    hidden, inner = padded(weights.out.outputs), padded(weights.gate_up.outputs)
    heads = weights.heads * weights.width

    def empty(width: int) -> Floats:
        return np.zeros((many, width), np.float32)

    return LlamaScratch(
        empty(hidden),
        empty(hidden),
        empty(padded(weights.qkv.outputs) + ROW_BLOCK * weights.width),
        empty(padded(heads)),
        empty(hidden),
        empty(inner),
        np.zeros((members, ROW_BLOCK, padded(places)), np.float32),
        np.zeros((members, ROW_BLOCK, weights.width), np.float32),
    )


@compiled
def run(
    weights: PackedLlama, scratch: LlamaScratch, caches: Any, rows: Any, member: Member
) -> None:
    """Take rows through all layers: x becomes what the head reads, keys and values are written.

    caches: keys (slots, layers, groups, places width) in blocks of LANES places, and values as many
    in blocks of LANES of a head's width. rows: their slots and places; those of one slot stand in
    the order of their places.
    """
    count = len(rows[0])
    for layer in range(len(weights.qkv.scale)):
        _norm(scratch.x, weights.norms[2 * layer], weights.eps, scratch.normed, count, member)
        barrier(member)
        product(weights.qkv, layer, scratch.normed, scratch.taken, count, member)
        barrier(member)
        _look(weights, scratch, caches, rows, layer, member)
        barrier(member)
        product(weights.out, layer, scratch.heads, scratch.added, count, member)
        _add(scratch.x, scratch.added, count, member)
        barrier(member)
        _norm(scratch.x, weights.norms[2 * layer + 1], weights.eps, scratch.normed, count, member)
        barrier(member)
        product(weights.gate_up, layer, scratch.normed, scratch.inner, count, member)
        barrier(member)
        _gated(scratch.inner, weights.gate_up.outputs // 2, count, member)
        barrier(member)
        product(weights.down, layer, scratch.inner, scratch.added, count, member)
        _add(scratch.x, scratch.added, count, member)
        barrier(member)


@compiled
def speak(
    weights: PackedLlama, scratch: LlamaScratch, logits: Floats, rows: int, member: Member
) -> None:
    """Logits (rows, vocabulary, padded) of what `run` has left."""
    _norm(scratch.x, weights.norms[-1], weights.eps, scratch.normed, rows, member)
    barrier(member)
    product(weights.head, 0, scratch.normed, logits, rows, member)


@compiled
def product(matrix: Matrix, layer: int, x: Floats, y: Floats, rows: int, member: Member) -> None:
    """y = scale (w x) + bias, for all rows: this member's share of the outputs."""
    whole, inputs = matrix.scale.shape[1], matrix.inputs
    begin = layer * whole * inputs
    scale, bias = matrix.scale[layer], matrix.bias[layer]
    begins, ends = share(member, whole // LANES)
    for first in range(begins * LANES, ends * LANES, CHUNK):
        size = min(CHUNK, ends * LANES - first)
        for row in range(0, rows, ROW_BLOCK):
            many = min(ROW_BLOCK, rows - row)
            for k in range(ROW_BLOCK if many > 1 else 1):
                y[row + k, first : first + size] = ZERO
            at = (begin + first * inputs, row * x.shape[1], row * y.shape[1] + first)
            multiply(matrix.weights, x, y, (*at, x.shape[1], y.shape[1], inputs), size, many)
            for k in range(many):
                for i in range(first, first + size):
                    y[row + k, i] = y[row + k, i] * scale[i] + bias[i]


@compiled
def _norm(x: Floats, weight: Floats, eps: float, y: Floats, rows: int, member: Member) -> None:
    """Zhang and Sennrich 2019 (1910.07467), equation 4."""
    for row in range(member.number, rows, member.size):
        total = np.float64(0)
        for i in range(len(weight)):
            total += np.float64(x[row, i]) * x[row, i]
        scale = np.float32(1 / np.sqrt(total / len(weight) + eps))
        for i in range(len(weight)):
            y[row, i] = x[row, i] * scale * weight[i]


@compiled
def _look(
    weights: PackedLlama, scratch: LlamaScratch, caches: Any, rows: Any, layer: int, member: Member
) -> None:
    """Attention: all rows are written down, then each looks at what it may."""
    keys, values = caches
    slots, places = rows
    for row in range(member.number, len(slots), member.size):
        taken, position = scratch.taken[row], places[row]
        _turn(weights, taken, position)
        _keep(weights, taken, keys[slots[row], layer], values[slots[row], layer], position)
    barrier(member)
    begin, end = share(member, len(slots) * weights.groups)
    for number in range(begin, end):
        row, group = number // weights.groups, number % weights.groups
        cached = (keys[slots[row], layer], values[slots[row], layer])
        own = (scratch.scores[member.number], scratch.weighted[member.number])
        _attend(weights, scratch, cached, own, (row, group), places[row] + 1)


@compiled
def _turn(weights: PackedLlama, taken: Floats, position: int) -> None:
    """Su et al. 2021 (2104.09864), section 3.4.2: queries and keys are turned by their place."""
    half = weights.width // 2
    for head in range(weights.heads + weights.groups):
        begin = head * weights.width
        for i in range(half):
            a, b = taken[begin + i], taken[begin + half + i]
            cos, sin = weights.cos[position, i], weights.sin[position, i]
            taken[begin + i] = a * cos - b * sin
            taken[begin + half + i] = b * cos + a * sin


@compiled
def _keep(weights: PackedLlama, taken: Floats, keys: Floats, values: Floats, position: int) -> None:
    """Keys and values of one token, each to its place in its block."""
    width = weights.width
    places = keys.shape[1] // width
    block, lane = position // LANES, position % LANES
    for group in range(weights.groups):
        k = (weights.heads + group) * width
        v = k + weights.groups * width
        for i in range(width):
            keys[group, (block * width + i) * LANES + lane] = taken[k + i]
            at = (i // LANES * places + position) * LANES + i % LANES
            values[group, at] = taken[v + i]


@compiled
def _attend(
    weights: PackedLlama, scratch: LlamaScratch, cached: Any, own: Any, which: Any, seen: int
) -> None:
    """Vaswani et al. 2017, equation 1, of a row's heads that share keys, over what it sees."""
    keys, values = cached
    scores, weighted = own
    row, group = which
    width, shared = weights.width, weights.heads // weights.groups
    places, step = keys.shape[1] // width, scratch.taken.shape[1]
    blocks = (seen + LANES - 1) // LANES
    scale = ONE / np.float32(np.sqrt(np.float32(width)))
    flat_keys, flat_values = keys.reshape(-1), values.reshape(-1)
    begin = group * keys.shape[1]
    for head in range(group * shared, (group + 1) * shared, ROW_BLOCK):
        many = min(ROW_BLOCK, (group + 1) * shared - head)
        scores[:, : blocks * LANES] = ZERO
        weighted[:] = ZERO
        at = (begin, row * step + head * width, 0)
        steps = (width, scores.shape[1], width)
        multiply(flat_keys, scratch.taken, scores, (*at, *steps), blocks * LANES, many)
        for k in range(many):
            _soften(scores[k, :seen], scale)
        for block in range(0, width, LANES):
            at = (begin + block * places, 0, block)
            steps = (scores.shape[1], width, seen)
            multiply(flat_values, scores, weighted, (*at, *steps), LANES, many)
        for k in range(many):
            for i in range(width):
                scratch.heads[row, (head + k) * width + i] = weighted[k, i]


@compiled
def _soften(scores: Floats, scale: Any) -> None:
    """Their softmax, once they are scaled."""
    most = scores[0]
    for i in range(len(scores)):
        most = max(most, scores[i])
    for i in range(len(scores)):
        scores[i] = exp((scores[i] - most) * scale)
    total = ZERO
    for i in range(len(scores)):
        total += scores[i]
    for i in range(len(scores)):
        scores[i] /= total


@compiled
def _gated(inner: Floats, half: int, rows: int, member: Member) -> None:
    """SwiGLU, Shazeer 2020 (2002.05202), equation 6: the gates stand before what they let up."""
    begin, end = share(member, half)
    for row in range(rows):
        gate, up = inner[row, begin:end], inner[row, half + begin : half + end]
        for i in range(len(gate)):
            x = gate[i]
            e = exp(-abs(x))
            gate[i] = up[i] * x * (ONE if x >= ZERO else e) / (ONE + e)


@compiled
def _add(x: Floats, more: Floats, rows: int, member: Member) -> None:
    """What this member itself has multiplied, so nobody has to be waited for."""
    begin, end = share(member, x.shape[1] // LANES)
    for row in range(rows):
        for i in range(begin * LANES, end * LANES):
            x[row, i] += more[row, i]
