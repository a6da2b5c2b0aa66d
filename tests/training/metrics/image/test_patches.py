import pytest
import torch

from models.checkpoint.header import Header
from models.nets.dcgan import Generator
from training.metrics.image.patch_distances import nearest_rms, patch_distances, sliced_wasserstein
from training.metrics.image.patches import measure_patches
from training.recipe import Data


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_a_set_is_at_no_distance_from_itself_in_any_order() -> None:
    x = torch.randn(50, 5)
    assert sliced_wasserstein(x, x.flip(0), rng()) == 0


def test_a_shift_is_its_mean_length_along_a_direction() -> None:
    x = torch.randn(50, 2)
    distance = sliced_wasserstein(x, x + torch.tensor([3.0, 4.0]), rng(), projections=20_000)
    assert distance == pytest.approx(5 * 2 / torch.pi, rel=0.02)  # mean of |cos| is 2 / pi


def test_noise_is_further_than_pictures_of_the_same_kind() -> None:
    ramp = torch.linspace(0, 1, 64).expand(16, 3, 64, 64)
    one, other = (ramp * torch.rand(16, 3, 1, 1, generator=rng()) for _ in range(2))
    near = patch_distances(one, other + 0.01 * torch.rand(16, 3, 1, 1), rng())
    far = patch_distances(one, torch.rand(16, 3, 64, 64, generator=rng()), rng())
    assert list(near) == ["64", "32", "16"]
    assert all(near[side] < far[side] for side in near)


def test_nearest_is_zero_for_a_copy_and_the_difference_for_a_shift() -> None:
    known = torch.rand(4, 3, 8, 8) / 2
    distances = nearest_rms(torch.cat([known[1:2], known[2:3] + 0.3]), known)
    assert distances[0] < 1e-3
    assert distances[1] <= 0.3 + 1e-4


def test_a_generators_figures_come_with_their_floors() -> None:
    config = {"latent": 3, "width": 2, "channels": 3, "size": 64}
    pictures = torch.randint(0, 256, (6, 3, 64, 64), generator=rng(), dtype=torch.uint8)
    weights = Generator(**config).state_dict()
    card = Header(family="gan", net={"kind": "dcgan", **config})
    figures = measure_patches(card, weights, Data((pictures[:4],), (pictures[4:],)))
    for side in (64, 32, 16):
        assert {f"{name}_{side}" for name in ("generated", "training", "noise")} <= figures.keys()
    assert "2 held-out" in str(figures["distance"])


@pytest.mark.parametrize(
    ("size", "channels", "sides"), [(64, 3, "64 32 16"), (28, 1, "28"), (32, 1, "32 16")]
)
def test_pictures_of_any_size_have_their_levels(size: int, channels: int, sides: str) -> None:
    x, y = (torch.rand(4, channels, size, size) for _ in range(2))
    assert " ".join(patch_distances(x, y, rng())) == sides
