"""Walks raise their score and keep the kind, for a generator whose answer is known."""

import torch
from torch import Tensor

from training.directions.linear_walk import LinearWalks, View, WalkSettings
from training.learners.attributes import CHANGE, KEPT

SETTINGS = WalkSettings(steps=100, draws=1_000, tried=400)


def draw(z: Tensor) -> View:
    return View(z[:, :, None, None], z)


def score(view: View) -> Tensor:
    """Rises along the first latent, and more along the second, which is the kind."""
    return view.vectors[:, 0] + 1.5 * view.vectors[:, 1]


def kinds(view: View) -> Tensor:
    side = 4 * view.vectors[:, 1:2]
    return torch.cat([side, -side], 1)


def test_a_regression_finds_the_gradient_of_a_line() -> None:
    walks = LinearWalks(draw, kinds, 8, SETTINGS)
    expected = torch.zeros(8)
    expected[:2] = torch.tensor([1.0, 1.5]) / 3.25**0.5
    assert torch.allclose(walks.regression(score(walks.view)), expected, atol=0.01)


def test_a_walk_turns_away_from_the_kind() -> None:
    walks = LinearWalks(draw, kinds, 8, SETTINGS)
    way = walks.walk(score)
    assert abs(float(way.norm()) - 1) < 1e-5
    assert way[0] > 0.85
    assert way[1].abs() < 0.5 < 1.5 / 3.25**0.5, "of the regression"
    assert torch.equal(way, LinearWalks(draw, kinds, 8, SETTINGS).walk(score))


def test_a_direction_is_shortened_until_the_kinds_stay() -> None:
    walks = LinearWalks(draw, kinds, 8, SETTINGS)
    free, across = torch.eye(8)[0], torch.eye(8)[1]
    assert walks.length(free) == 1.0, "the kind doesn't see it"
    length = walks.length(across)
    assert length < 1.0
    z = walks.z[:400]
    for sign in (-1, 1):
        moved = z + sign * CHANGE * length * across
        kept = ((moved[:, 1] > 0) == (z[:, 1] > 0)).double().mean()
        assert length == 0.1 or kept >= KEPT - 0.02  # the length of z is kept, which turns it
