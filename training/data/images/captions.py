"""The captioned emoji with many ways to say what each shows, in English and in Chinese."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from training.data.images.emoji import held_out, load_emoji
from training.data.images.lexicon import STYLES, names, word_tokenizer
from training.recipe import Data

CONTEXT = 64
SHORT = 24  # tokens of the short ones, all English
SHORTS, LONGS = 12, 8
Split = Literal["caption", "picture"]
"""What is held out whole."""


@dataclass(frozen=True, slots=True)
class Captioned:
    """Rows of pictures with what they show; columns of equal length."""

    pictures: Tensor  # (N, 3, 64, 64) uint8, on white
    concept: Tensor  # (N,) int64, an index into `captions`
    style: Tensor  # (N,) int64, an index into STYLES
    group: Tensor  # (N,) int64, an index into `groups`
    captions: tuple[str, ...]
    groups: tuple[str, ...]
    hexcodes: tuple[str, ...]


@lru_cache(1)
def captioned() -> Captioned:
    """All pictures of a named group, ordered by emoji and set."""
    emoji = load_emoji()
    rows = np.flatnonzero((emoji.group != "") & (emoji.group != "component"))
    rows = rows[np.lexsort((emoji.vendor[rows], emoji.hexcode[rows]))]
    captions = sorted({str(c) for c in emoji.caption[rows]})
    groups = sorted({str(g) for g in emoji.group[rows]})

    def numbers(column: Sequence[str], of: Sequence[str]) -> Tensor:
        index = {name: number for number, name in enumerate(of)}
        return torch.tensor([index[str(value)] for value in column])

    return Captioned(
        torch.from_numpy(emoji.images[rows]),
        numbers(list(emoji.caption[rows]), captions),
        numbers(list(emoji.vendor[rows]), STYLES),
        numbers(list(emoji.group[rows]), groups),
        tuple(captions),
        tuple(groups),
        tuple(str(code) for code in emoji.hexcode[rows]),
    )


def load_captioned(styles: Sequence[str] = STYLES, split: Split = "caption") -> Data:
    """Columns: pictures, concept, style, short texts (N, 12, 24) and long ones (N, 8, 64) as rows
    of the token table, of these sets.

    The test part is that of the captions held out, in whatever set; or single pictures, so that a
    model that is to paint every emoji has learnt each from some set.
    """
    all_of = captioned()
    short, long = _texts()
    columns = (all_of.pictures, all_of.concept, all_of.style, short, long)
    train, test = rows_of(styles, split)
    return Data(tuple(c[train] for c in columns), tuple(c[test] for c in columns))


def rows_of(styles: Sequence[str], split: Split) -> tuple[Tensor, Tensor]:
    """Which rows of `captioned` are learnt from, and which are held out."""
    all_of = captioned()
    wanted = torch.tensor([STYLES.index(name) for name in styles])
    rows = torch.isin(all_of.style, wanted).nonzero().flatten()
    test_rows = torch.tensor([_is_test(all_of, row, split) for row in rows.tolist()])
    return rows[~test_rows], rows[test_rows]


def _is_test(all_of: Captioned, row: int, split: Split) -> bool:
    if split == "caption":
        return held_out(all_of.captions[int(all_of.concept[row])])
    return held_out(f"{all_of.hexcodes[row]} {STYLES[int(all_of.style[row])]}")


def load_named() -> Data:
    """All pictures with the numbers of their captions, which are the labels; one picture in ten
    is held out."""
    data = load_captioned(split="picture")
    return Data(data.train[:2], data.test[:2], captioned().captions)


@lru_cache(1)
def _texts() -> tuple[Tensor, Tensor]:
    """The token rows of every picture's texts: (N, SHORTS, SHORT) and (N, LONGS, CONTEXT)."""
    all_of, known = captioned(), word_tokenizer()
    shorts, longs = [], []
    for code, style in zip(all_of.hexcodes, all_of.style.tolist(), strict=True):
        seed = hashlib.sha256(f"{code} {style}".encode()).digest()[:8]
        rng = np.random.default_rng(int.from_bytes(seed, "big"))
        shorts += [short_text(code, STYLES[style], rng) for _ in range(SHORTS)]
        longs += [long_text(code, STYLES[style], rng) for _ in range(LONGS)]
    count = len(all_of.hexcodes)
    return (
        known.table(shorts, SHORT).view(count, SHORTS, SHORT).to(torch.int16),
        known.table(longs, CONTEXT).view(count, LONGS, CONTEXT).to(torch.int16),
    )


def short_text(code: str, style: str, rng: np.random.Generator) -> str:
    """In English, the plain name every third time."""
    named, set_name = names()[code], style.replace("-", " ")
    key = named.keywords[rng.integers(len(named.keywords))] if named.keywords else named.caption
    ways = [
        named.caption,
        named.caption,
        named.caption,
        f"a {named.caption}",
        f"{named.caption}, {key}",
        f"{named.caption} emoji",
        f"a picture of a {named.caption}",
        f"{named.caption} in {set_name} style",
        f"{set_name} {named.caption}",
        key,
    ]
    return ways[rng.integers(len(ways))]


def long_text(code: str, style: str, rng: np.random.Generator) -> str:
    """In Chinese three times in four, else a list of keywords."""
    named = names()[code]
    if not named.chinese or rng.random() < 0.25:
        return ", ".join(rng.permutation([named.caption, *named.keywords])[:8])
    tags = named.chinese_keywords or (named.chinese,)
    tag = tags[rng.integers(len(tags))]
    ways = [
        named.chinese,
        named.chinese,
        named.chinese,
        f"一个{named.chinese}",
        f"{named.chinese}的表情",
        f"{named.chinese}，{tag}",
        f"{tag}",
        f"{style.replace('-', ' ')} 风格的{named.chinese}",
    ]
    return ways[rng.integers(len(ways))]
