"""Whole pieces as rows of tokens, and what is learnt from each: a crop, in some key."""

import torch
from torch import Tensor

from models.music.composition import FACTS
from models.music.tokenizer import MusicTokens
from models.score import TONICS
from training.data.music.token_columns import pieces_of
from training.recipe import Data

LOWEST, HIGHEST = 28, 108  # pitches that a piece is moved within
DOWN, UP = -5, 6  # semitones that a piece may be moved by: every key once
PAD = 0


def load_scored(repeats: dict[str, int]) -> Data:
    """Columns: tokens (N, longest) int16, filled up with 0, and styles (N,) int64.

    `repeats` has the times that each style's training pieces are repeated.
    """
    rows: dict[bool, list[tuple[Tensor, int]]] = {False: [], True: []}
    for number, (style, times) in enumerate(repeats.items()):
        for tokens, test in pieces_of(style):
            row = torch.from_numpy(tokens.astype("i2")), number
            rows[test] += [row] * (1 if test else times)
    return Data(_columns(rows[False]), _columns(rows[True]), tuple(repeats))


def _columns(rows: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    tokens, styles = zip(*rows, strict=True)
    filled = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True, padding_value=PAD)
    return filled, torch.tensor(styles)


def transposed(tokenizer: MusicTokens, tokens: Tensor, rng: torch.Generator) -> Tensor:
    """Each piece (B, T) some semitones up or down, all within bounds alike, its key with it."""
    first = tokenizer.first["pitch"]
    pitch = tokens - first
    pitched = (pitch >= 0) & (pitch < 128)
    low = torch.where(pitched, pitch, 127).amin(1)
    high = torch.where(pitched, pitch, 0).amax(1)
    down = (LOWEST - low).clamp(DOWN, 0)
    room = (HIGHEST - high).clamp(0, UP) - down + 1
    by = down + (torch.rand(len(tokens), generator=rng) * room).long()
    moved = torch.where(pitched, tokens + by[:, None], tokens)
    column = FACTS.index("key")
    key = tokens[:, column] - tokenizer.token("key", 1)  # below 0 if it is not known
    tonics = len(TONICS)
    other = key // tonics * tonics + (key + by) % tonics
    moved[:, column] = torch.where(key >= 0, tokenizer.token("key", 1) + other, tokens[:, column])
    return moved


def cropped(tokenizer: MusicTokens, tokens: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Of each piece (B, T) its prefix and what follows from some bar on, (B, size).

    From the first bar if all of it has room, and from none so late that there would be room for the
    bar before.
    """
    start, whole = len(FACTS), tokens.shape[1]
    room = size - start
    bars = tokens == tokenizer.token("bar", 0)
    length = (tokens != PAD).sum(1)
    index = torch.arange(whole)
    enough = bars & (index >= (length - room)[:, None])  # bars from which the rest has room
    latest = torch.where(enough, index, whole).amin(1).clamp(max=whole - 1)
    open_ = bars & (index <= latest[:, None])
    chance = torch.rand(tokens.shape, generator=rng).masked_fill(~open_, -1)
    first = torch.where(open_.any(1), chance.argmax(1), start)
    within = first[:, None] + torch.arange(room)
    filled = torch.nn.functional.pad(tokens, (0, room), value=PAD)
    return torch.cat([tokens[:, :start], filled.gather(1, within)], 1)
