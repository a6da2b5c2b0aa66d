"""A fully connected generator that begins at the principal components of its data."""

import pytest
import torch

from models.checkpoint.header import Header
from training.learners.gan import GANLearner, GANSettings, start_from_components
from training.recipe import Data

SIDE, COMPONENTS = 6, 3


def data(rows: int = 4000) -> Data:
    """Pictures whose values before tanh have a mean and three directions."""
    rng = torch.Generator().manual_seed(0)
    centre = torch.randn(SIDE * SIDE, generator=rng) * 0.3
    axes = torch.linalg.qr(torch.randn(SIDE * SIDE, COMPONENTS, generator=rng)).Q
    spread = torch.tensor([1.2, 0.8, 0.5])
    x = centre + (torch.randn(rows, COMPONENTS, generator=rng) * spread) @ axes.T
    pictures = x.tanh().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    columns = (pictures.view(rows, 1, SIDE, SIDE), torch.zeros(rows, dtype=torch.int64))
    return Data(columns, columns, ("one",))


def learner(kind: str = "mlp") -> GANLearner:
    shape = {"channels": 1, "size": SIDE if kind == "mlp" else 8}
    width = {"hidden": 4096} if kind == "mlp" else {"width": 8}
    card = Header(family="gan", net={"kind": kind, "latent": 64, **width, **shape})
    judge = {"kind": "mlp", "hidden": 8}
    return GANLearner(card, judge, GANSettings(steps=4), torch.device("cpu"))


def before_tanh(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.double().clamp(-0.999, 0.999).atanh().flatten(1)


def test_its_first_pictures_have_the_mean_and_the_components_of_the_data() -> None:
    begun, known = learner(), data()
    start_from_components(begun, known, COMPONENTS)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        drawn = begun.generator(torch.randn(4000, 64, generator=rng), torch.zeros(4000).long())
    real = before_tanh(known.train[0].float().div(127.5).sub(1))
    fake = before_tanh(drawn)
    torch.testing.assert_close(fake.mean(0), real.mean(0), atol=0.1, rtol=0)
    expected, actual = (torch.linalg.eigvalsh(torch.cov(x.T)) for x in (real, fake))
    torch.testing.assert_close(actual[-COMPONENTS:], expected[-COMPONENTS:], atol=0.1, rtol=0.15)
    assert actual[:-COMPONENTS].sum() < 1e-3 * actual.sum()  # no other direction


def test_the_average_begins_where_the_generator_does() -> None:
    begun = learner()
    start_from_components(begun, data(200), COMPONENTS)
    average = begun.average.net.state_dict()
    assert all(torch.equal(average[k], v) for k, v in begun.generator.state_dict().items())


def test_more_components_than_pixels_are_all_there_are() -> None:
    begun = learner()
    start_from_components(begun, data(50), 10_000)
    assert all(torch.isfinite(x).all() for x in begun.generator.state_dict().values())


def test_only_a_fully_connected_generator_has_such_a_layer() -> None:
    with pytest.raises(TypeError, match="fully connected"):
        start_from_components(learner("conv"), data(50), COMPONENTS)
