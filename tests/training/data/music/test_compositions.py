"""Emoji in other colours and two at a time."""

import pytest
import torch
from torch import Tensor

from training.data.images.captions import Captioned
from training.data.images.lexicon import Named
from training.data.music import compositions
from training.data.music.compositions import (
    COLOURS,
    PLACES,
    compose,
    compose_pair,
    ground,
    in_colour,
)

RED, GREY = COLOURS[0], next(c for c in COLOURS if c.word == "grey")
NAMES = {
    "1": Named("apple", (), "苹果", ()),
    "2": Named("dog", (), "狗", ()),
    "3": Named("flag: Malawi", (), "旗: 马拉维", ()),
    "4": Named("abacus", (), "", ()),
}


def disc(colour: tuple[int, int, int], hole: int = 0, size: int = 64) -> Tensor:
    """A disc on white, with a white hole of so many pixels about its middle."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    far = ((x - size / 2 + 0.5) ** 2 + (y - size / 2 + 0.5) ** 2).sqrt()
    inside = (far < 0.4 * size) & (far >= hole)
    return torch.where(inside, torch.tensor(colour)[:, None, None], 255).to(torch.uint8)


def middle(picture: Tensor, x: int = 32, y: int = 32) -> list[int]:
    return picture[:, y, x].tolist()


def test_white_stays_white_and_what_is_drawn_takes_the_colour() -> None:
    picture = in_colour(disc((40, 90, 220), hole=5), RED)
    assert torch.equal(picture.amin(0) == 255, disc((0, 0, 0), hole=5).amin(0) == 255)
    r, g, b = middle(picture, x=42)
    assert r > 180
    assert max(g, b) < 90


def test_grey_is_as_bright_as_it_was_and_black_lines_stay() -> None:
    r, g, b = middle(in_colour(disc((200, 200, 200)), GREY))
    assert r == g == b == 180
    assert middle(in_colour(disc((20, 22, 20)), RED)) == [20, 22, 20]


def test_the_ground_is_white_from_the_edge_on() -> None:
    area = ground(disc((10, 10, 10), hole=8))
    assert area[0, 0]
    assert not area[32, 32]  # white, but within
    assert torch.equal(area, disc((10, 10, 10)).amin(0) == 255)


@pytest.mark.parametrize("arrangement", PLACES, ids=lambda arrangement: arrangement.ways[0])
def test_two_things_are_both_there(arrangement: compositions.Arrangement) -> None:
    picture = compose_pair(disc((220, 0, 0)), disc((0, 0, 220)), arrangement)
    side, left, top = arrangement.second
    assert middle(picture, left + side // 2, top + side // 2)[2] > 150
    assert ((picture[0] > 150) & (picture[2] < 90)).float().mean() > 0.05
    assert middle(picture, 63, 0) == [255, 255, 255]


def test_columns_are_those_of_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = torch.stack([disc((200, 40 * k, 30)) for k in range(6)])
    codes = ("1", "2", "3", "4", "1", "2")
    style = torch.tensor([0, 0, 0, 0, 2, 2])
    all_of = Captioned(pictures, torch.arange(6), style, style, ("",) * 6, ("",), codes)
    asked: list[str] = []

    class Table:
        def table(self, texts: list[str], context: int) -> Tensor:
            asked.extend(texts)
            return torch.ones(len(texts), context, dtype=torch.int64)

    monkeypatch.setattr(compositions, "captioned", lambda: all_of)
    monkeypatch.setattr(compositions, "names", lambda: NAMES)
    monkeypatch.setattr(compositions, "word_tokenizer", Table)
    columns = compose(torch.tensor([0, 1, 2, 4]), 5, 7)  # the abacus and the last dog are held out
    assert [tuple(c.shape) for c in columns] == [
        (12, 3, 64, 64),
        (12,),
        (12,),
        (12, 12, 24),
        (12, 8, 64),
    ]
    assert [c.dtype for c in columns[3:]] == [torch.int16, torch.int16]
    assert set(columns[1].tolist()) <= {0, 1, 4}
    assert not any("Malawi" in text or "abacus" in text for text in asked)
    assert any("苹果" in text for text in asked)
    again = compose(torch.tensor([0, 1, 2, 4]), 5, 7)
    assert all(torch.equal(a, b) for a, b in zip(columns, again, strict=True))
