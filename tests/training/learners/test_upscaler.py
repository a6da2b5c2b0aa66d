"""An upscaler: its pairs of pictures, how it learns from them, and what it is measured by."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.upscaler import Upscaler, bicubic
from tests.training.data.images.test_emoji import fill
from tests.training.loop.test_loop import flat, trained
from training.components import checkpoints_folder, load_component
from training.data.cache import cache_folder
from training.data.images import emoji_large
from training.data.images.emoji import load_emoji
from training.data.images.emoji_build import SVG_SETS, Name
from training.learners.standard import StandardLearner
from training.learners.upscaler import (
    UpscalerObjective,
    UpscalerSettings,
    crops,
    measure_upscaler,
    softened,
)
from training.metrics.image.psnr import psnr
from training.metrics.image.ssim import C1, ssim
from training.pretrained import load_autoencoder, normalize
from training.recipe import Batch, Data, Recipe
from training.registry import recipe_named

CPU = torch.device("cpu")
CARD = Header(family="upscaler", net={"channels": 3, "width": 16, "blocks": 1, "factor": 2})


def discs(rows: int, side: int, size: int) -> Tensor:
    """In colours of their own on white, drawn at `side` pixels and shrunk to `size`."""
    rng = torch.Generator().manual_seed(3)
    middle = torch.randint(side // 3, side * 2 // 3, (rows, 2, 1, 1), generator=rng)
    colour = torch.randint(0, 200, (rows, 3, 1, 1), generator=rng)
    index = torch.arange(side)
    inside = (index[:, None] - middle[:, :1]) ** 2 + (index - middle[:, 1:]) ** 2 < side**2 // 14
    drawn = torch.where(inside, colour, 255).float()
    return F.avg_pool2d(drawn, side // size).round().to(torch.uint8)


def shapes(rows: int) -> Batch:
    """Discs of 24 pixels a side and of 12, which stand for soft ones as well."""
    large, small = (discs(rows, 96, size) for size in (24, 12))
    return large, small, small


def learner(steps: int) -> StandardLearner[Any]:
    return StandardLearner(
        UpscalerObjective(
            CARD, UpscalerSettings(steps=steps, crop=12, rate=5e-3, warmup=10, decay=0.9), CPU
        )
    )


def tiny_recipe() -> Recipe:
    return Recipe(
        id="tiny-upscaler",
        data=lambda: Data(shapes(12), shapes(4)),
        learner=lambda card, device: learner(5),
        measure=measure_upscaler,
        card=CARD,
        settings={},
        steps=5,
        batch=4,
    )


def test_at_first_it_is_bicubic() -> None:
    net = learner(1).net
    x = torch.randn(2, 3, 5, 7)
    assert torch.equal(net(x), bicubic(x, 2))


@pytest.mark.parametrize("factor", [2, 4])
def test_any_height_and_width_is_enlarged(factor: int) -> None:
    assert Upscaler(3, 8, 1, factor)(torch.zeros(2, 3, 5, 7)).shape == (
        2,
        3,
        5 * factor,
        7 * factor,
    )


def test_another_factor_is_refused() -> None:
    with pytest.raises(ValueError, match="factor must be 2 or 4, not 3"):
        Upscaler(factor=3)


@pytest.mark.slow
def test_it_learns_to_be_nearer_than_bicubic() -> None:
    batch, learning = shapes(16), learner(250)
    before = learning.step(batch, torch.Generator().manual_seed(0))
    for number in range(249):
        after = learning.step(batch, torch.Generator().manual_seed(number))
    assert after["loss"] < before["loss"] * 0.8
    figures = measure_upscaler(CARD, learning.weights(), Data(batch, shapes(16)))
    for kind in ("test_", "test_soft_"):
        for figure in ("psnr", "ssim"):
            assert figures[f"{kind}{figure}"] > figures[f"{kind}{figure}_bicubic"]  # type: ignore[operator]


def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    whole = trained(tiny_recipe(), tmp_path / "whole", [5])
    broken = trained(tiny_recipe(), tmp_path / "broken", [2, 3, 5])
    assert flat(whole.load(CPU)) == flat(broken.load(CPU))
    name = "snapshot-000005.safetensors"
    assert (whole.folder / name).read_bytes() == (broken.folder / name).read_bytes()


def test_a_part_becomes_the_same_part_of_the_large_picture() -> None:
    small = torch.randint(0, 256, (40, 3, 9, 9), dtype=torch.uint8)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    low, wanted = crops((large, small, 255 - small), 5, 0.5, torch.Generator().manual_seed(0))
    assert low.shape == (40, 3, 5, 5)
    as_drawn = (wanted[:, :, ::2, ::2] == low).flatten(1).all(1)
    soft = (wanted[:, :, ::2, ::2] == 255 - low).flatten(1).all(1)
    assert bool((as_drawn ^ soft).all())
    assert 0 < int(soft.sum()) < 40
    assert not torch.equal(low[as_drawn], small[as_drawn, :, :5, :5])  # moved and turned


def test_a_sheet_shows_what_it_learnt_from_last() -> None:
    learning, batch = learner(1), shapes(16)
    assert len(learning.sample(96, torch.Generator())) == 4  # nothing yet
    learning.step(batch, torch.Generator())
    page = learning.sample(96, torch.Generator())
    assert page.shape == (48, 3, 24, 24)
    assert torch.equal(page[3::4], batch[0][:12] / 255)


def test_psnr_is_that_of_the_error_in_every_picture() -> None:
    wanted = torch.full((2, 3, 4, 4), 0.5)
    predicted = wanted + torch.tensor([0.1, -0.01])[:, None, None, None]
    assert psnr(predicted, wanted) == pytest.approx((20 + 40) / 2, abs=1e-4)
    assert psnr(wanted, wanted) == pytest.approx(100)


def test_ssim_has_its_closed_forms() -> None:
    x = torch.rand(2, 3, 16, 13)
    assert ssim(x, x) == pytest.approx(1)
    a, b = 0.25, 0.75  # two that are even: only their brightness is compared
    even = torch.ones(1, 1, 11, 11)
    assert ssim(a * even, b * even) == pytest.approx((2 * a * b + C1) / (a * a + b * b + C1))
    assert ssim(x, 1 - x) < 0  # what is bright in one is dark in the other


def test_ssim_weighs_by_a_gaussian() -> None:
    from scipy.ndimage import gaussian_filter

    x, y = np.random.default_rng(0).random((2, 11, 11))

    def middle(values: np.ndarray) -> float:
        return float(gaussian_filter(values, 1.5, truncate=3.5)[5, 5])

    mx, my = middle(x), middle(y)
    both = 2 * (middle(x * y) - mx * my) + 0.03**2
    spread = middle(x * x) - mx**2 + middle(y * y) - my**2 + 0.03**2
    expected = (2 * mx * my + C1) / (mx**2 + my**2 + C1) * both / spread
    assert ssim(torch.tensor(x)[None, None], torch.tensor(y)[None, None]) == pytest.approx(expected)


@pytest.mark.slow
def test_the_shipped_net_draws_what_it_never_saw_better_than_bicubic() -> None:
    if not (checkpoints_folder() / "parts" / "upscaler-emoji.safetensors").exists():
        pytest.skip("needs upscaler-emoji, which `atelier train upscaler-emoji` makes")
    opened = load_component("upscaler-emoji")
    large = discs(4, side=1024, size=256)
    small = F.avg_pool2d(large.float(), 4).round().to(torch.uint8)
    figures = measure_upscaler(opened.header, opened.tensors, Data((), (large, small, small)))
    assert figures["test_psnr"] > figures["test_psnr_bicubic"] + 1  # type: ignore[operator]


def test_soft_pictures_are_near_and_noise_takes_them_further() -> None:
    if not (checkpoints_folder() / "parts" / "autoencoder-emoji.safetensors").exists():
        pytest.skip("needs autoencoder-emoji, which `atelier train autoencoder-emoji` makes")
    net = load_autoencoder()
    (large, _, _) = shapes(3)
    small = F.pad(large, [20] * 4, value=255)  # (3, 3, 64, 64)
    plain, noisy = softened(net, small, 0.0), softened(net, small, 1.0)
    assert plain.dtype == torch.uint8
    errors = [(x.float() - small.float()).abs().mean() for x in (plain, noisy)]
    assert 0 < errors[0] < errors[1] < 40


def test_pairs_are_drawn_from_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resvg_py", reason="draws the SVG emoji")
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    fill(cache_folder())
    data = emoji_large.load_pairs()
    large, small = (torch.cat(columns) for columns in zip(data.train, data.test, strict=True))
    assert large.shape == (13, 3, 256, 256)
    assert sorted(small.flatten(1).tolist()) == sorted(
        torch.from_numpy(load_emoji().images).flatten(1).tolist()  # the small are those of the set
    )
    shrunk = F.avg_pool2d(large.float(), 4)
    assert (shrunk - small.float()).abs().mean() < 1
    with np.load(cache_folder() / "emoji256.npz") as opened:
        assert set(opened["vendor"].tolist()) == {*(s.vendor for s in SVG_SETS), "fluent-3d"}
        assert set(opened["license"].tolist()) == {"Apache-2.0", "MIT", "CC-BY-4.0"}
    again = emoji_large.load_pairs()  # now from the cache
    assert torch.equal(again.train[0], data.train[0])


def no_pictures() -> Any:
    return np.zeros(0), np.zeros(0)


def test_of_every_set_the_same_are_chosen_whatever_their_order() -> None:
    names = [Name(f"{code:x}", "", "", "", "") for code in range(emoji_large.PER_SET + 50)]
    art: list[emoji_large.Art] = [(name, no_pictures) for name in names]
    chosen = emoji_large.chosen("noto", art)
    assert len(chosen) == emoji_large.PER_SET
    assert chosen == emoji_large.chosen("noto", art[::-1])
    other = emoji_large.chosen("twemoji", art)
    assert {name.hexcode for name, _ in other} != {name.hexcode for name, _ in chosen}


def test_the_recipe_starts_from_pictures_that_it_can_tell_of() -> None:
    recipe = recipe_named("upscaler-emoji")
    net = recipe.learner(recipe.card, CPU).weights()
    assert 300_000 < sum(w.numel() for w in net.values()) < 600_000
    assert math.isclose(normalize(torch.tensor([[[[255]]]], dtype=torch.uint8), CPU).item(), 1)
