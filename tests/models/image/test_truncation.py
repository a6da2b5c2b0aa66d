"""Truncation rejects atypical results, and leaves the brightness alone."""

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.artifacts import Image, NotFinite
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.engine.noise import normal, seeded
from models.image.gan import GAN
from models.image.truncation import first_typical, residual, share_within
from models.params.base import POOL, GANParams
from tests.models.families import tiny_checkpoint


def naive_choice(results: list[Tensor], bound: float) -> int:
    """The same choice by loops, with numpy's least squares."""
    rows = [r.double().flatten().numpy() for r in results]
    reach = [
        sorted(math.dist(a, b) for j, b in enumerate(rows) if j != i)[2] for i, a in enumerate(rows)
    ]
    bright = np.log([row.mean() for row in rows])
    slope, offset = np.polyfit(bright, np.log(reach), 1)
    left = np.log(reach) - slope * bright - offset
    share = NormalDist().cdf(bound) - NormalDist().cdf(-bound)
    return min(sorted(range(len(rows)), key=lambda i: left[i])[: max(1, round(share * len(rows)))])


@pytest.mark.parametrize("bound", [0.1, 0.5, 1.0, 2.0])
def test_it_chooses_as_the_naive_form_does(bound: float) -> None:
    for seed in range(5):
        results = list(torch.rand(24, 3, 4, 4, generator=seeded(seed)) ** 2)
        assert first_typical(results, bound) == naive_choice(results, bound)


def test_a_share_is_that_of_a_normal_distribution() -> None:
    for bound in (0.1, 0.5, 1.0, 3.0):
        assert share_within(bound) == pytest.approx(2 * NormalDist().cdf(bound) - 1)


def test_an_outlier_is_rejected_and_a_wide_bound_rejects_nothing() -> None:
    crowd = 0.5 + 0.05 * torch.rand(15, 8, generator=seeded(1))
    outlier = torch.tensor([0.0, 1.0] * 4)
    assert first_typical([outlier, *crowd], 1.0) > 0
    assert first_typical([outlier, *crowd], 3.0) == 0


def test_results_that_are_all_alike_are_all_typical() -> None:
    assert first_typical([torch.full((2, 2), 0.5)] * 8, 0.1) == 0


def test_results_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NotFinite):
        first_typical([*torch.rand(7, 4), torch.full((4,), torch.nan)], 1.0)


def test_the_residual_of_a_line_is_nothing() -> None:
    x = torch.rand(9, generator=seeded(2)).double()
    assert residual(3 * x - 1, x).abs().max() < 1e-12
    assert residual(x, torch.ones(9).double()).allclose(x - x.mean())


def test_brightness_stays_where_it_draws_on_it() -> None:
    """Bright rows vary more, as bright pictures do: the densest of all would be the darkest."""
    chosen, drawn = [], []
    for seed in range(100):
        rng = seeded(seed)
        level = 0.4 + 0.6 * torch.rand(POOL, 1, generator=rng)
        pool = level * (0.6 + 0.4 * torch.rand(POOL, 12, generator=rng))
        chosen.append(pool[first_typical(list(pool), 0.3)].mean())
        drawn.append(pool.mean())
    mean = torch.stack(drawn).mean().item()
    assert torch.stack(chosen).mean().item() == pytest.approx(mean, rel=0.05)


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> GAN:
    """A tiny net whose batch norm knows the statistics of a latent of variance 1."""
    checkpoint = tiny_checkpoint(tmp_path_factory.mktemp("gan"), "gan")
    family = GAN(load(Path(checkpoint)), Placement(torch.device("cpu")))
    norms = [m for m in family.net.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # an average over all batches
    family.net.train()
    with torch.no_grad():
        for seed in range(4):
            rng = seeded(seed)
            labels = torch.randint(len(family.labels), (64,), generator=rng)
            family.net(normal(rng, 64, family.latent), labels)
    family.net.eval()
    return family


def picture(gan: GAN, seed: int, **params: object) -> Tensor:
    (result,) = run_alone(gan.generate(GANParams.model_validate(params), seeded(seed)))
    assert isinstance(result, Image)
    return result.pixels


def test_a_gan_keeps_its_brightness_under_truncation(gan: GAN) -> None:
    free, cut = (
        torch.stack([picture(gan, seed, **params) for seed in range(6)])
        for params in ({}, {"truncation": 0.5})
    )
    assert cut.mean().item() == pytest.approx(free.mean().item(), rel=0.05)
    assert not torch.equal(cut, free)


def test_the_widest_truncation_is_none(gan: GAN) -> None:
    """The first draw is that of the seed without truncation, and so is the class."""
    for seed in range(3):
        assert torch.equal(picture(gan, seed), picture(gan, seed, truncation=3.0))


def test_truncation_weighs_as_much_as_it_runs_at_once() -> None:
    walk = {"to_seed": 2, "frames": 9}
    assert GANParams(truncation=1.0).rows == 4
    assert GANParams(truncation=1.0, interpolate=walk).rows == 9  # type: ignore[arg-type]
    assert GANParams().rows == 1
