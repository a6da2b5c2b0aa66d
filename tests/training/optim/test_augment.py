import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.optim.augment import (
    augment_latents,
    cutout,
    diff_augment,
    mirror,
    recolour,
    translate,
)

Change = Callable[[Tensor, torch.Generator], Tensor]
CHANGES: list[Change] = [diff_augment, mirror, recolour, translate, cutout]


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("change", CHANGES)
def test_the_generator_alone_decides(change: Change) -> None:
    x = torch.rand(6, 3, 16, 16) * 2 - 1
    torch.manual_seed(0)
    first = change(x, rng())
    torch.manual_seed(1)
    assert torch.equal(change(x, rng()), first)
    assert first.shape == x.shape
    assert not torch.equal(first, x)


@pytest.mark.parametrize("change", CHANGES)
def test_gradients_pass(change: Change) -> None:
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    change(x, rng()).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_mirror_gives_each_row_as_it_was_or_flipped() -> None:
    x = torch.rand(20, 1, 4, 4)
    flipped = [bool(torch.equal(b, a.flip(2))) for a, b in zip(x, mirror(x, rng()), strict=True)]
    kept = [bool(torch.equal(b, a)) for a, b in zip(x, mirror(x, rng()), strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert any(flipped)
    assert any(kept)


def test_translate_moves_a_row_as_a_whole_and_brings_in_white() -> None:
    x = torch.full((30, 1, 16, 16), -1.0)
    x[:, :, 8, 8] = 0.5
    moved = translate(x, rng())
    corners = (moved == 0.5).nonzero()
    assert len(corners) == 30
    assert (corners[:, 2:] - 8).abs().max() == 2  # an eighth of 16
    for row, _, y, at in corners.tolist():
        white = (moved[row, 0] == 1).sum().item()
        assert white == 256 - (16 - abs(y - 8)) * (16 - abs(at - 8))


def test_cutout_greys_one_square() -> None:
    hole = cutout(torch.ones(30, 1, 20, 20), rng()) == 0
    assert hole.any(3).sum(2).max() <= 8  # 0.4 of 20
    assert hole.any(2).sum(2).max() <= 8
    assert hole.sum((1, 2, 3)).min() > 0


def test_frames_of_a_clip_are_changed_alike_and_begin_anywhere() -> None:
    still = torch.rand(5, 1, 3, 16, 16).expand(-1, 4, -1, -1, -1) * 2 - 1
    changed = augment_latents(still, rng())
    assert changed.shape == still.shape
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert not torch.equal(changed, still)
    counted = torch.ones(20, 4, 3, 16, 16) + torch.arange(4).view(4, 1, 1, 1) / 4
    firsts = set()
    for row in augment_latents(counted, rng())[:, :, 0].flatten(2).median(2).values:
        firsts.add(int(row.argmin()))
        assert torch.equal(row.roll(-int(row.argmin())), row.sort().values)
    assert firsts == {0, 1, 2, 3}


def test_latents_move_by_an_eighth_and_repeat_their_border() -> None:
    """Each row is scaled and moved as a padded copy of it would be, but for the square cut out."""
    x = torch.rand(30, 1, 4, 16, 16, requires_grad=True)
    moved = augment_latents(x, rng())
    padded = torch.nn.functional.pad(x[:, 0].detach(), (2, 2, 2, 2), mode="replicate")
    seen = set()
    for row in range(30):
        kept = moved[row, 0] != 0
        fits = []
        for dy, dx in itertools.product(range(5), range(5)):
            there = padded[row, :, dy : dy + 16, dx : dx + 16]
            scales = (moved[row, 0].detach() / there)[kept]
            if scales.max() - scales.min() < 1e-4:
                fits.append((dy, dx))
                assert 0.8 <= float(scales.mean()) <= 1.2
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) > 10
    moved.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
