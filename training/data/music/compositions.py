"""Emoji in other colours, and two in one picture, with words that say so: what no set has drawn.

A net that has seen single emoji alone takes "a blue banana" for a banana. Made of pictures of one
set each, so that their manner stays; the ground of a picture that is laid over another is what is
white from its edge on.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.images.captions import CONTEXT, LONGS, SHORT, SHORTS, captioned
from training.data.images.lexicon import Named, names, word_tokenizer

WHITE = 244  # the least of the three of a pixel that counts as white
PALE = 0.93  # as bright as this without a colour: what is white in a picture stays so


@dataclass(frozen=True, slots=True)
class Colour:
    """In both languages, with its hue (0 to 1) and how strong and bright it is."""

    word: str
    chinese: str
    hue: float
    strength: float = 0.75
    light: float = 1.0


COLOURS = (
    Colour("red", "红", 0.99, 0.85),
    Colour("orange", "橙", 0.08, 0.85),
    Colour("yellow", "黄", 0.145, 0.8, 1.1),
    Colour("green", "绿", 0.35),
    Colour("blue", "蓝", 0.59, 0.8),
    Colour("purple", "紫", 0.77, 0.65),
    Colour("pink", "粉", 0.92, 0.4, 1.15),
    Colour("brown", "棕", 0.07, 0.65, 0.62),
    Colour("golden", "金", 0.125, 0.7),
    Colour("grey", "灰", 0.0, 0.0, 0.9),
    Colour("black", "黑", 0.0, 0.0, 0.3),
)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where the second of two things lies: how large each is, and their corners, in 64ths."""

    ways: tuple[str, ...]
    chinese: tuple[str, ...]
    first: tuple[int, int, int]
    second: tuple[int, int, int]
    """Its side, and the left and top."""


PLACES = (
    Arrangement(
        ("{a} and {b}", "a {a} and a {b}", "a {a} next to a {b}", "{a}, {b}"),
        ("{a}和{b}", "一个{a}和一个{b}", "{a}在{b}旁边"),
        (34, 0, 15),
        (34, 30, 15),
    ),
    Arrangement(
        ("{a} with a {b}", "a {a} with a {b}", "{a} with {b}"),
        ("{a}和{b}", "有{b}的{a}"),
        (52, 0, 0),
        (30, 34, 34),
    ),
    Arrangement(
        ("{b} in a {a}", "a {b} in a {a}", "a {b} in the {a}"),
        ("{a}里的{b}", "{b}在{a}里"),
        (64, 0, 0),
        (30, 17, 20),
    ),
    Arrangement(
        ("{b} on a {a}", "a {b} on a {a}", "{a} under a {b}"),
        ("{a}上的{b}", "{b}在{a}上"),
        (44, 10, 20),
        (32, 16, 0),
    ),
    Arrangement(
        ("{a} eating {b}", "a {a} eating a {b}", "{a} eating a {b}"),
        ("{a}吃{b}", "一个{a}在吃{b}"),
        (58, 3, 0),
        (28, 18, 36),
    ),
)


@dataclass(frozen=True, slots=True)
class Composite:
    """A picture, the row of `captioned` that it is of above all, and what it can be called."""

    picture: Tensor
    row: int
    texts: "Texts"


def compose(rows: Tensor, tinted: int, paired: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Pictures, concept, style and texts, as the columns of `load_captioned` are: so many in
    another colour and so many of two things, of these rows of `captioned` alone."""
    rng, all_of, known = np.random.default_rng(seed), captioned(), names()
    plain = [r for r in rows.tolist() if ":" not in known[all_of.hexcodes[r]].caption]
    alike: dict[int, list[int]] = {}
    for row in plain:
        alike.setdefault(int(all_of.style[row]), []).append(row)
    composites = [_tinted(plain[rng.integers(len(plain))], rng) for _ in range(tinted)]
    for _ in range(paired):
        a = plain[rng.integers(len(plain))]
        others = alike[int(all_of.style[a])]
        composites.append(_paired(a, others[rng.integers(len(others))], rng))
    at = torch.tensor([one.row for one in composites])
    pictures = torch.stack([one.picture for one in composites])
    texts = _tokens([one.texts for one in composites], rng)
    return (pictures, all_of.concept[at], all_of.style[at], *texts)


def _tinted(row: int, rng: np.random.Generator) -> Composite:
    all_of, colour = captioned(), COLOURS[rng.integers(len(COLOURS))]
    picture = in_colour(all_of.pictures[row], colour)
    return Composite(picture, row, _of_colour(names()[all_of.hexcodes[row]], colour))


def _paired(a: int, b: int, rng: np.random.Generator) -> Composite:
    all_of, arrangement = captioned(), PLACES[rng.integers(len(PLACES))]
    picture = compose_pair(all_of.pictures[a], all_of.pictures[b], arrangement)
    first, second = (names()[all_of.hexcodes[row]] for row in (a, b))
    return Composite(picture, a, _of_two(first, second, arrangement))


def in_colour(picture: Tensor, colour: Colour) -> Tensor:
    """Every pixel but what is white or nearly black in one hue, as bright as it was; (3, H, W)
    uint8."""
    x = picture.float() / 255
    value, least = x.amax(0), x.amin(0)
    strength = torch.where(value > 0, (value - least) / value.clamp(min=1e-6), 0.0)
    drawn = ((strength > 0.12) | (value < PALE)) & (value > 0.12)
    wanted = colour.strength * (0.6 + 0.4 * strength)
    light = (value * colour.light).clamp(max=1.0)
    hue = torch.tensor(colorsys.hsv_to_rgb(colour.hue, 1.0, 1.0))[:, None, None]
    toned = light * (1 - wanted + wanted * hue)
    return torch.where(drawn, toned, x).mul(255).round().to(torch.uint8)


def compose_pair(a: Tensor, b: Tensor, arrangement: Arrangement) -> Tensor:
    """Two pictures (3, S, S) uint8 on one white ground, the second over the first."""
    page = torch.full(a.shape, 255, dtype=torch.uint8)
    for picture, measures in ((a, arrangement.first), (b, arrangement.second)):
        side, left, top = (number * a.shape[1] // 64 for number in measures)
        small = _shrunk(torch.cat([picture.float(), 255.0 * ~ground(picture)[None]]), side)
        cover = small[3:] / 255
        area = page[:, top : top + side, left : left + side]
        area.copy_((small[:3] * cover + area * (1 - cover)).round().clamp(0, 255))
    return page


def ground(picture: Tensor) -> Tensor:
    """Where a picture (3, S, S) is white from its edge on, (S, S) bool."""
    white = (picture.amin(0) >= WHITE).float()
    reached = white.clone()
    reached[1:-1, 1:-1] = 0
    while True:
        grown = F.max_pool2d(reached[None, None], 3, 1, 1)[0, 0] * white
        if torch.equal(grown, reached):
            return reached.bool()
        reached = grown


def _shrunk(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x[None], (side, side), mode="bilinear", antialias=True)[0]


Texts = tuple[list[str], list[str]]
"""Ways to say it, in English and in Chinese; some emoji have no Chinese name."""


def _of_colour(named: Named, colour: Colour) -> Texts:
    a, c = named.caption, colour.word
    english = [f"{c} {a}", f"{c} {a}", f"a {c} {a}", f"{a} in {c}", f"{c} {a} emoji"]
    if not named.chinese:
        return english, []
    b, d = named.chinese, colour.chinese
    return english, [f"{d}色的{b}", f"{d}{b}", f"一个{d}色的{b}"]


def _of_two(a: Named, b: Named, arrangement: Arrangement) -> Texts:
    english = [way.format(a=a.caption, b=b.caption) for way in arrangement.ways]
    if not (a.chinese and b.chinese):
        return english, []
    return english, [way.format(a=a.chinese, b=b.chinese) for way in arrangement.chinese]


def _tokens(texts: list[Texts], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rows of short ones, all English, and of long ones, mostly Chinese, as `captions` has them."""
    short, long = [], []
    for english, chinese in texts:
        short += [english[i] for i in rng.integers(len(english), size=SHORTS)]
        other = chinese or english
        long += [other[i] for i in rng.integers(len(other), size=LONGS)]
    known, count = word_tokenizer(), len(texts)
    return (
        known.table(short, SHORT).view(count, SHORTS, SHORT).to(torch.int16),
        known.table(long, CONTEXT).view(count, LONGS, CONTEXT).to(torch.int16),
    )
