import pytest
import torch

from models.nets.conv_vae import ConvVAE
from models.nets.dcgan import Discriminator, Generator

TUTORIAL = {  # the generator of the PyTorch DCGAN tutorial, at nz=100, ngf=64, nc=3
    "main.0.weight": (100, 512, 4, 4),
    "main.3.weight": (512, 256, 4, 4),
    "main.6.weight": (256, 128, 4, 4),
    "main.9.weight": (128, 64, 4, 4),
    "main.12.weight": (64, 3, 4, 4),
}


def test_generator_has_the_names_and_shapes_of_the_tutorial() -> None:
    expected = dict(TUTORIAL)
    for place, width in ((1, 512), (4, 256), (7, 128), (10, 64)):
        for name in ("weight", "bias", "running_mean", "running_var"):
            expected[f"main.{place}.{name}"] = (width,)  # type: ignore[assignment]
        expected[f"main.{place}.num_batches_tracked"] = ()  # type: ignore[assignment]
    own = {name: tuple(tensor.shape) for name, tensor in Generator().state_dict().items()}
    assert own == expected


@pytest.mark.parametrize("size", [16, 32, 64])
def test_generator_and_discriminator_meet_at_every_size(size: int) -> None:
    x = Generator(latent=5, width=4, channels=1, size=size)(torch.randn(3, 5))
    assert x.shape == (3, 1, size, size)
    assert x.abs().max() <= 1
    assert Discriminator(width=4, channels=1, size=size)(x).shape == (3,)


@pytest.mark.parametrize("size", [0, 8, 48, 65])
def test_a_size_that_doubling_misses_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        Generator(size=size)


def test_discriminator_sees_whether_pictures_are_all_alike() -> None:
    judge = Discriminator(width=4, size=16)
    picture = torch.rand(1, 3, 16, 16)
    alone = judge(picture)
    among_others = judge(torch.cat([picture, -picture, torch.rand(2, 3, 16, 16)]))[:1]
    assert torch.allclose(judge(picture.expand(4, -1, -1, -1)), alone.expand(4), atol=1e-5)
    assert not torch.allclose(among_others, alone, atol=1e-5)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3)])
def test_vae_gives_a_latent_each_and_logits_each(size: int, channels: int) -> None:
    net = ConvVAE(size=size, channels=channels, width=4, latent=3)
    x = torch.rand(2, channels, size, size)
    mu, logvar = net.encode(x)
    assert mu.shape == logvar.shape == (2, 3)
    assert net.decode(mu).shape == x.shape
    assert torch.equal(net(x), net.decode(mu))


def test_vae_refuses_a_size_it_cannot_halve_twice() -> None:
    with pytest.raises(ValueError, match="30"):
        ConvVAE(size=30)
