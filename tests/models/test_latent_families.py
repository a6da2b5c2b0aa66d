"""VAE, GAN and mixture: priors, attributes, given pictures, classes and walks."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.artifacts import Frames, Image
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.engine.batching import BatchedFn, Placement, run_together
from models.engine.flow import Family, run_alone
from models.engine.noise import seeded
from models.families import FAMILIES
from models.image.gan import GAN
from models.image.preprocessing import fitted
from models.image.vae import VAE
from models.nets.mixture import PARTS, GaussianMixture
from tests.models.families import tiny_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module")
def vae(folder: Path) -> VAE:
    return VAE(load(tiny_checkpoint(folder, "vae")), Placement(CPU))


@pytest.fixture(scope="module")
def gan(folder: Path) -> GAN:
    return GAN(load(tiny_checkpoint(folder, "gan")), Placement(CPU))


def pixels_of(model: Family[Any], family: str, seed: int = 1, **params: Any) -> Tensor:
    inputs = params.pop("inputs", {})
    asked = FAMILIES[family].params.model_validate(params)
    (artifact,) = run_alone(model.generate(asked, seeded(seed), inputs))
    return artifact.pixels


def picture() -> Image:
    return Image(torch.rand(1, 28, 28, generator=seeded(3)))


def test_no_strength_is_the_reconstruction(vae: VAE) -> None:
    original = picture()
    got = pixels_of(vae, "vae", init_image="a" * 64, strength=0.0, inputs={"init_image": original})
    expected = vae.net.decode(vae.net.encode(original.pixels[None])[0]).sigmoid()[0]
    assert torch.allclose(got, expected, atol=1e-6)
    again = pixels_of(
        vae, "vae", 7, init_image="a" * 64, strength=0.0, inputs={"init_image": original}
    )
    assert torch.equal(got, again), "no seed matters where nothing is drawn"


def test_full_strength_is_a_draw_of_the_prior(vae: VAE) -> None:
    request = {"init_image": picture()}
    got = pixels_of(vae, "vae", init_image="a" * 64, strength=1.0, inputs=request)
    assert torch.allclose(got, pixels_of(vae, "vae"), atol=1e-6)


def test_a_mixture_prior_draws_from_the_mixture(vae: VAE) -> None:
    assert vae.net.prior is not None
    rng = seeded(5)
    eps, u = torch.randn(vae.net.latent, generator=rng), torch.rand((), generator=rng)
    z = vae.net.prior.draw(u[None], eps[None])
    expected = vae.net.decode(z).sigmoid()[0]
    assert torch.allclose(pixels_of(vae, "vae", 5, prior="mixture"), expected, atol=1e-6)


def test_an_attribute_moves_the_latent_along_its_direction(vae: VAE) -> None:
    assert vae.net.directions is not None
    z = torch.randn(vae.net.latent, generator=seeded(2))
    z = z + 1.5 * vae.net.directions[0] - 0.5 * vae.net.directions[1]
    expected = vae.net.decode(z[None]).sigmoid()[0]
    got = pixels_of(vae, "vae", 2, attributes={"bright": 1.5, "wide": -0.5})
    assert torch.allclose(got, expected, atol=1e-6)
    assert torch.equal(
        pixels_of(vae, "vae", 2, attributes={"bright": 0.0}), pixels_of(vae, "vae", 2)
    )


def test_temperature_0_is_the_mean_whatever_the_seed(vae: VAE) -> None:
    assert torch.equal(
        pixels_of(vae, "vae", 1, temperature=0.0), pixels_of(vae, "vae", 2, temperature=0.0)
    )


@pytest.mark.parametrize("family", ["vae", "gan", "mixture"])
def test_a_walk_has_its_ends_where_its_seeds_are(folder: Path, family: str) -> None:
    checkpoint = load(tiny_checkpoint(folder, family))
    model = FAMILIES[family].load(checkpoint, Placement(CPU))
    fixed = {"class_label": "bag"} if family == "gan" else {}
    asked = {"interpolate": {"to_seed": 9, "frames": 5}, **fixed}
    params = FAMILIES[family].params.model_validate(asked)
    (walk,) = run_alone(model.generate(params, seeded(1)))
    assert isinstance(walk, Frames)
    assert len(walk.pixels) == 5
    assert torch.equal(walk.pixels[0], pixels_of(model, family, 1, **fixed))
    assert torch.allclose(walk.pixels[-1], pixels_of(model, family, 9, **fixed), atol=1e-5)


def test_a_walk_between_given_attributes_keeps_them(vae: VAE) -> None:
    asked = {"interpolate": {"to_seed": 9, "frames": 2}, "attributes": {"wide": 2.0}}
    walk = pixels_of(vae, "vae", 1, **asked)
    assert torch.equal(walk[0], pixels_of(vae, "vae", 1, attributes={"wide": 2.0}))


def test_a_class_is_drawn_where_none_is_asked_for(gan: GAN) -> None:
    by_label = {
        label: [pixels_of(gan, "gan", seed, class_label=label) for seed in range(12)]
        for label in gan.labels
    }
    free = [pixels_of(gan, "gan", seed) for seed in range(12)]
    drawn = {
        label
        for seed, x in enumerate(free)
        for label in gan.labels
        if torch.equal(x, by_label[label][seed])
    }
    assert drawn == set(gan.labels)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 28, 28), (3, 50, 28), (1, 20, 90), (3, 1, 1)])
def test_any_picture_is_brought_to_what_a_net_takes(shape: tuple[int, int, int]) -> None:
    for channels in (1, 3):
        x = fitted(Image(torch.rand(shape)), channels, 16)
        assert x.shape == (channels, 16, 16)
        assert ((x >= 0) & (x <= 1)).all()


def test_the_middle_square_is_kept_and_grey_is_weighed() -> None:
    x = torch.zeros(3, 4, 8)
    x[0, :, 2:6] = 1.0  # red in the middle
    assert torch.allclose(fitted(Image(x), 1, 4), torch.full((1, 4, 4), 0.299), atol=1e-4)
    assert torch.equal(fitted(Image(x), 3, 4)[1:], torch.zeros(2, 4, 4))


def test_a_picture_that_fits_is_kept_as_it_is() -> None:
    original = picture()
    assert torch.allclose(fitted(original, 1, 28), original.pixels, atol=1e-6)


def test_frames_are_no_given_picture() -> None:
    with pytest.raises(TypeError, match="must be a picture"):
        fitted(Frames(torch.rand(2, 1, 4, 4)), 1, 4)


def test_a_walk_between_means_is_a_still(vae: VAE) -> None:
    walk = pixels_of(vae, "vae", temperature=0.0, interpolate={"to_seed": 9, "frames": 3})
    assert all(torch.equal(frame, walk[0]) for frame in walk)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("gan", {"labels": ["shirt"]}),
        ("diffusion", {"labels": []}),
        ("vae", {"attributes": ["bright", "wide", "long"]}),
    ],
)
def test_a_card_that_says_more_or_less_than_its_net_can_is_refused(
    folder: Path, family: str, wrong: dict[str, Any]
) -> None:
    checkpoint = load(tiny_checkpoint(folder, family))
    lying = dataclasses.replace(checkpoint, header=checkpoint.header.model_copy(update=wrong))
    with pytest.raises(CheckpointError, match="its net"):
        FAMILIES[family].load(lying, Placement(CPU))


def test_half_precision_picks_components_as_often() -> None:
    """A uniform number of bfloat16 is one of a few hundred."""
    mixture = GaussianMixture(2, 1)
    mixture.logits.data = torch.tensor([0.999, 0.001]).log()
    mixture.means.data = torch.tensor([[0.0], [1.0]])
    run = BatchedFn(
        mixture.draw_by_parts, (torch.tensor(0), torch.zeros(1)), pad_to=None, dtype=torch.bfloat16
    )
    parts = [int(PARTS * share) for share in (0.9985, 0.9995)]
    rows = [(torch.tensor(u), torch.zeros(1)) for u in parts]
    assert [x.item() for x in run_together(run, rows, CPU)] == [0.0, 1.0]
