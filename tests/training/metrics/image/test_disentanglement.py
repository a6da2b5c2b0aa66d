import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from training.metrics.image import disentanglement
from training.metrics.image.disentanglement import (
    beta_vae_metric,
    measure_disentanglement,
    mutual_information_gap,
)

SIZES = (3, 6, 20, 16, 16)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def factors(rows: int = 6_000) -> Tensor:
    drawing = rng()
    return torch.stack([torch.randint(0, n, (rows,), generator=drawing) for n in SIZES], 1)


def test_a_perfect_encoder_reaches_the_ceiling_of_both() -> None:
    v = factors()
    z = v.float() * torch.tensor([1.0, -3.0, 0.1, 10.0, 1.0])
    assert beta_vae_metric(z, v, rng()) == 1.0
    assert mutual_information_gap(z, v) > 0.97  # what is lacking is the bias of histograms


def test_latents_that_know_nothing_stay_on_the_floor_of_both() -> None:
    v = factors()
    z = torch.randn(len(v), 5, generator=rng())
    assert beta_vae_metric(z, v, rng()) == pytest.approx(0.2, abs=0.06)
    assert mutual_information_gap(z, v) < 0.02


def test_a_rotation_of_perfect_latents_costs_the_gap() -> None:
    v = factors()
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=rng()))
    z = (v.float() - v.float().mean(0)) / v.float().std(0)
    assert mutual_information_gap(z @ turn, v) < 0.25


def test_a_factor_that_two_latents_know_has_no_gap() -> None:
    v = factors()
    doubled = v.float()[:, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]
    assert mutual_information_gap(doubled, v) == pytest.approx(0, abs=1e-9)
    assert beta_vae_metric(doubled, v, rng()) == 1.0  # which the beta-VAE metric does not mind


def test_the_linear_classifier_is_as_good_as_scikit_learns() -> None:
    v = factors()
    z = torch.randn(len(v), 5, generator=rng()) + 0.05 * v
    x, y = disentanglement._differences(z, v, 800, rng())
    mine = disentanglement._linear_classifier(x, y)(x).argmax(1)
    oracle = LogisticRegression(C=1e3, max_iter=2_000).fit(x.numpy(), y.numpy())
    assert (mine == y).double().mean().item() == pytest.approx(
        oracle.score(x.numpy(), y.numpy()), abs=0.03
    )


def test_partners_share_the_value_and_are_drawn_evenly() -> None:
    values = torch.tensor([0, 1, 0, 2, 1, 0])
    rows = torch.arange(6).repeat(3_000)
    partners = disentanglement._partners(values, rows, rng())
    assert torch.equal(values[partners], values[rows])
    of_first = partners[rows == 0].bincount(minlength=6)
    assert np.allclose(of_first / 3_000, [1 / 3, 0, 1 / 3, 0, 0, 1 / 3], atol=0.04)


def test_over_sprites_an_encoder_stands_between_its_floor_and_its_ceiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disentanglement, "PICTURES", 3_000)
    monkeypatch.setattr(disentanglement, "EXAMPLES", 300)
    at = torch.linspace(-1, 1, 64)

    def moments(x: Tensor) -> Tensor:
        """Where the sprite is, and how large."""
        mass = x.sum((1, 2, 3))
        across, down = (x.sum((1, 2)) @ at) / mass, (x.sum((1, 3)) @ at) / mass
        return torch.stack([across, down, mass], 1)

    figures = measure_disentanglement(moments, rng())
    assert figures["perfect_encoder_beta_vae_metric"] == 1.0
    assert figures["perfect_encoder_mig"] > figures["mig"] > figures["random_encoder_mig"]
    assert figures["mig"] > 0.45  # x, y and the scale, three in five, are known by one latent each
    assert figures["random_encoder_mig"] < 0.1
