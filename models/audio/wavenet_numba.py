"""WaveNet's sample loop as machine code: samples as fast as the weights can be read.

One sample needs every weight once, so a lone stream runs as fast as they come from the cache, and
four streams at a time share each read. State, draws and results are those of
`wavenet_torch.advance`, which this is tested against; a stream's bits do not depend on its
neighbours (`models/kernels/simd.py`), so batches need no padding.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.audio.wavenet_torch import Advanced, Draws, Stacked, State
from models.kernels.categorical_numba import HALF, NAN, ZERO, draw
from models.kernels.simd import (
    LANES,
    ROW_BLOCK,
    Floats,
    blocks_of,
    compiled,
    multiply,
    padded,
    tanh,
)

Numbers = NDArray[np.int64]


class PackedWaveNet(NamedTuple):
    """A WaveNet's weights as the kernel reads them; matrices in blocks of outputs."""

    hop: int
    residual: int
    gate: int
    starts: Numbers  # (L,) where each layer's ring begins
    masks: Numbers  # (L,) its length less one
    levels: Floats  # (classes,) what each sounds like
    embed: Floats  # (classes, residual)
    gates: Floats  # of L layers, 2 residual to 2 gate
    carry: Floats  # of L - 1, gate to residual
    carry_bias: Floats  # (L - 1, residual)
    gather: Floats  # all units to skip
    gather_bias: Floats  # (skip,)
    hidden: Floats
    hidden_bias: Floats
    out: Floats  # skip to classes
    out_bias: Floats


class WaveNetScratch(NamedTuple):
    """Where up to `ROW_BLOCK` streams are worked out, one row each, ends of vectors included."""

    both: Floats  # a layer's input of `dilation` samples ago, and its input now
    taken: Floats  # what its units take in
    units: Floats  # of all layers
    skip: Floats
    hidden: Floats
    logits: Floats
    chances: Floats  # of the stream that is drawn, (classes,)
    parts: Floats  # (LANES,), of what they sum to


def packed(weights: Stacked) -> PackedWaveNet:
    """Copies them: what the stacked ones are changed to later is not seen."""
    (gather, gather_bias), (hidden, hidden_bias), (out, out_bias) = weights.ends
    return PackedWaveNet(
        weights.hop,
        weights.residual,
        weights.gate,
        weights.starts.numpy(),
        weights.masks.numpy(),
        weights.levels.numpy(),
        _plain(weights.embed),
        _blocks(weights.gates),
        _blocks(weights.carry),
        _plain(weights.carry_bias),
        _blocks(gather[None]),
        _plain(gather_bias),
        _blocks(hidden[None]),
        _plain(hidden_bias),
        _blocks(out[None]),
        _plain(out_bias),
    )


def _plain(tensor: Tensor) -> Floats:
    return tensor.detach().float().contiguous().numpy().copy()


def _blocks(matrices: Tensor) -> Floats:
    return blocks_of(matrices.detach().float().numpy())


def scratch_for(weights: PackedWaveNet) -> WaveNetScratch:
    def rows(width: int) -> Floats:
        return np.zeros((ROW_BLOCK, width), np.float32)

    layers, classes = len(weights.starts), len(weights.levels)
    return WaveNetScratch(
        rows(weights.residual + padded(weights.residual)),
        rows(padded(2 * weights.gate)),
        rows(layers * weights.gate),
        rows(padded(len(weights.gather_bias))),
        rows(padded(len(weights.hidden_bias))),
        rows(padded(classes)),
        np.zeros(padded(classes), np.float32),
        np.zeros(LANES, np.float32),
    )


def advance(weights: PackedWaveNet, state: State, conditioning: Tensor, draws: Draws) -> Advanced:
    """As `wavenet_torch.advance`, on the CPU: as many streams in each of torch's threads."""
    rings, length, last = (t.clone(memory_format=torch.contiguous_format) for t in state)
    samples = torch.empty(draws.uniforms.shape)
    inputs = (conditioning, draws.uniforms, draws.temperature, draws.top_p)
    whole = [rings, length, last, samples, *(tensor.contiguous() for tensor in inputs)]
    each = -(-len(rings) // torch.get_num_threads())
    parts = [
        [t[first : first + each].numpy() for t in whole] for first in range(0, len(rings), each)
    ]
    if len(parts) == 1:
        _advance(weights, parts[0])
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(partial(_advance, weights), parts))
    return samples, rings, length, last


def _advance(weights: PackedWaveNet, chunk: list[Any]) -> None:
    rings, length, last, samples, conditioning, *draws = chunk
    _run(weights, scratch_for(weights), (rings, length, last), conditioning, tuple(draws), samples)


@compiled
def _run(
    weights: PackedWaveNet,
    scratch: WaveNetScratch,
    state: Any,
    conditioning: Floats,
    draws: Any,
    samples: Floats,
) -> None:
    """All samples of ROW_BLOCK streams, then those of the next; the state is written."""
    rings, length, last = state
    uniforms, temperature, top_p = draws
    for first in range(0, len(rings), ROW_BLOCK):
        rows = min(ROW_BLOCK, len(rings) - first)
        for k in range(samples.shape[1]):
            for row in range(rows):
                for i in range(weights.residual):
                    scratch.both[row, weights.residual + i] = weights.embed[last[first + row], i]
            next_logits(
                weights, scratch, (rings, length), conditioning[:, k // weights.hop], first, rows
            )
            for row in range(rows):
                at = first + row
                u, heat, p = uniforms[at, k], temperature[at], top_p[at]
                logits = scratch.logits[row, : len(weights.levels)]
                number = draw(logits, u, heat, p, scratch.chances, scratch.parts)
                samples[at, k] = weights.levels[number] if number >= 0 else NAN
                last[at] = max(number, 0)
                length[at] += 1


@compiled
def next_logits(
    weights: PackedWaveNet,
    scratch: WaveNetScratch,
    state: Any,
    conditioning: Any,
    first: int,
    rows: int,
) -> None:
    """Logits of the next sample of streams `first` and on, whose inputs lie on the desk.

    state: rings (B, places, residual), which are written, and length (B,).
    conditioning (B, layers, 2 gate).
    """
    rings, length = state
    residual, gate = weights.residual, weights.gate
    wide, taken, units = scratch.both.shape[1], scratch.taken.shape[1], scratch.units.shape[1]
    carried = wide - residual
    for layer in range(len(weights.starts)):
        for row in range(rows):
            index = weights.starts[layer] + (length[first + row] & weights.masks[layer])
            _remember(rings[first + row, index], scratch.both[row], residual)
            for i in range(2 * gate):
                scratch.taken[row, i] = conditioning[first + row, layer, i]
        at = (layer * 2 * residual * taken, 0, 0, wide, taken, 2 * residual)
        multiply(weights.gates, scratch.both, scratch.taken, at, taken, rows)
        for row in range(rows):
            signal, gates = scratch.taken[row, :gate], scratch.taken[row, gate : 2 * gate]
            _gated(signal, gates, scratch.units[row, layer * gate : (layer + 1) * gate])
        if layer < len(weights.carry_bias):
            for row in range(rows):
                for i in range(residual):
                    scratch.both[row, residual + i] += weights.carry_bias[layer, i]
            at = (layer * gate * carried, layer * gate, residual, units, wide, gate)
            multiply(weights.carry, scratch.units, scratch.both, at, carried, rows)
    _spoken(weights, scratch, rows)


@compiled
def _spoken(weights: PackedWaveNet, scratch: WaveNetScratch, rows: int) -> None:
    """Logits of all units: section 2.4 of the paper."""
    _affine(weights.gather, weights.gather_bias, scratch.units, scratch.skip, rows)
    _rectify(scratch.skip, rows)
    _affine(weights.hidden, weights.hidden_bias, scratch.skip, scratch.hidden, rows)
    _rectify(scratch.hidden, rows)
    _affine(weights.out, weights.out_bias, scratch.hidden, scratch.logits, rows)


@compiled
def _remember(ring: Floats, both: Floats, residual: int) -> None:
    """What was put in the ring its whole length ago, for what is there now."""
    for i in range(residual):
        both[i] = ring[i]
        ring[i] = both[residual + i]


@compiled
def _gated(signal: Floats, gate: Floats, units: Floats) -> None:
    """tanh(signal) sigmoid(gate): equation 2 of the paper."""
    for i in range(len(units)):  # each indexed by i alone, or it is not compiled to vectors
        units[i] = tanh(signal[i]) * (HALF + HALF * tanh(HALF * gate[i]))


@compiled
def _affine(w: Floats, bias: Floats, x: Floats, y: Floats, rows: int) -> None:
    """y = w x + bias; ends of y beyond the bias are left to be anything."""
    for row in range(rows):
        for i in range(len(bias)):
            y[row, i] = bias[i]
    at = (0, 0, 0, x.shape[1], y.shape[1], len(w) // y.shape[1])
    multiply(w, x, y, at, y.shape[1], rows)


@compiled
def _rectify(x: Floats, rows: int) -> None:
    for row in range(rows):
        for i in range(x.shape[1]):
            x[row, i] = ZERO if x[row, i] < ZERO else x[row, i]  # no number stays none
