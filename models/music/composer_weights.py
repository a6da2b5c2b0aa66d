"""A composer's weights, its cache and its desk, as its kernel reads and writes them."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.kernels.simd import (
    LANES,
    ROW_BLOCK,
    WIDE,
    Floats,
    Weights,
    blocks_of,
    padded,
    upper_halves,
)
from models.nets.composer import TURNS, Cache, ComposerModel

TILE = WIDE * LANES  # places that are looked at together


class PackedComposer(NamedTuple):
    """A composer's weights as the kernel reads them; matrices in blocks of outputs, either all
    whole or all as the upper halves of their bits."""

    heads: int
    groups: int
    size: int  # of a head
    filled: int  # the same in whole vectors
    inner: int
    vocabulary: int
    window: int
    eps: np.float32
    speeds: Floats  # (size / 2,) how far each pair turns in one token
    norms: Floats  # before and between in every layer, and the last: (2 L + 1, width)
    take: Weights  # of L layers, width to queries, keys and values
    give: Weights  # width to width
    open: Weights  # width to 2 inner
    close: Weights  # inner to width
    out: Weights  # width to vocabulary


class ComposerScratch(NamedTuple):
    """Where up to `ROW_BLOCK` rows are worked out, one row each, ends of vectors included."""

    x: Floats
    normed: Floats
    taken: Floats  # queries, keys and values
    attended: Floats  # by all heads
    opened: Floats
    closed: Floats
    logits: Floats
    near: Floats  # of one row and head: how near each place is, (1, places)
    turns: Floats  # cosines and sines, (ROW_BLOCK, size)
    parts: Floats  # (LANES,), of what is summed up


def packed(net: ComposerModel) -> PackedComposer:
    """Copies them: what the net's are changed to later is not seen."""
    blocks: list[Any] = list(net.blocks)
    layers = [[b.take, b.give, b.open, b.close] for b in blocks]
    matrices = [
        blocks_of(_plain(torch.stack([layer.weight.t() for layer in parts])))
        for parts in zip(*layers, strict=True)
    ]
    matrices.append(blocks_of(_plain(net.embed.weight.t()[None])))
    halves = [upper_halves(matrix) for matrix in matrices]
    norms = [norm.weight for b in blocks for norm in (b.before, b.between)]
    pair = torch.arange(0, net.size, 2)
    return PackedComposer(
        blocks[0].heads,
        net.groups,
        net.size,
        padded(net.size),
        blocks[0].close.in_features,
        net.vocabulary,
        net.window,
        np.float32(net.norm.eps),
        _plain(TURNS ** (-pair / net.size)),
        _plain(torch.stack([*norms, net.norm.weight])),
        *(matrices if any(half is None for half in halves) else halves),
    )


def _plain(tensor: Tensor) -> Floats:
    return tensor.detach().float().contiguous().numpy().copy()


def empty(weights: PackedComposer, slots: int) -> Cache:
    """A cache of so many slots: of each layer and group a block of keys and one of values.

    Keys lie (places / LANES, size, LANES), values (places / TILE, size / LANES, TILE, LANES), where
    places and size are filled up to whole ones.
    """
    places = _tiled(weights.window)
    layers = len(weights.norms) // 2
    shape = (slots, layers, weights.groups)
    keys = torch.zeros(*shape, places * weights.size)
    return Cache(keys, torch.zeros(*shape, places * padded(weights.size)))


def _tiled(places: int) -> int:
    return -(-places // TILE) * TILE


def scratch_for(weights: PackedComposer) -> ComposerScratch:
    def rows(width: int) -> Floats:
        return np.zeros((ROW_BLOCK, width), np.float32)

    width = weights.norms.shape[1]
    return ComposerScratch(
        rows(padded(width)),
        rows(padded(width)),
        rows(padded((weights.heads + 2 * weights.groups) * weights.size)),
        rows(padded(width) + LANES),  # what ends the last head may be a whole vector
        rows(padded(2 * weights.inner)),
        rows(padded(weights.inner)),
        rows(padded(weights.vocabulary)),
        np.zeros((1, _tiled(weights.window)), np.float32),
        rows(weights.size),
        np.zeros(LANES, np.float32),
    )
