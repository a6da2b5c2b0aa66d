import pytest
import torch

from models.nets.dcgan import Discriminator, Generator
from models.nets.gan import critic_of, generator_of
from models.nets.unet import TextCondition, UNet, sinusoids
from models.nets.vae import BroadcastDecoder, VAENet

TUTORIAL = {  # the generator of the PyTorch DCGAN tutorial, at nz=100, ngf=64, nc=3
    "main.0.weight": (100, 512, 4, 4),
    "main.3.weight": (512, 256, 4, 4),
    "main.6.weight": (256, 128, 4, 4),
    "main.9.weight": (128, 64, 4, 4),
    "main.12.weight": (64, 3, 4, 4),
}


def test_generator_has_the_names_and_shapes_of_the_tutorial() -> None:
    expected = dict(TUTORIAL)
    for layer, width in ((1, 512), (4, 256), (7, 128), (10, 64)):
        for name in ("weight", "bias", "running_mean", "running_var"):
            expected[f"main.{layer}.{name}"] = (width,)  # type: ignore[assignment]
        expected[f"main.{layer}.num_batches_tracked"] = ()  # type: ignore[assignment]
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
    net = VAENet(size=size, channels=channels, width=4, latent=3)
    x = torch.rand(2, channels, size, size)
    mu, logvar = net.encode(x)
    assert mu.shape == logvar.shape == (2, 3)
    assert net.decode(mu).shape == x.shape
    assert torch.equal(net(x), net.decode(mu))


def test_vae_refuses_a_size_it_cannot_halve_twice() -> None:
    with pytest.raises(ValueError, match="30"):
        VAENet(size=30)


@pytest.mark.parametrize("size", [0, 24, 60])
def test_a_broadcast_vae_refuses_a_size_that_its_patches_do_not_fill(size: int) -> None:
    with pytest.raises(ValueError, match=f"a multiple of 16, not {size}"):
        VAENet(kind="broadcast", size=size)


def test_a_broadcast_decoder_draws_each_patch_from_the_latents_and_its_place() -> None:
    decoder = VAENet(kind="broadcast", size=32, channels=3, width=8, latent=5).decoder
    assert isinstance(decoder, BroadcastDecoder)
    z = torch.randn(2, 5)
    whole = decoder(z)
    assert whole.shape == (2, 3, 32, 32)
    for row, down, across in ((0, 0, 0), (1, 2, 5), (0, 7, 3)):
        offset = torch.tensor([across - 3.5, down - 3.5])
        patch = decoder.layers(decoder.latents(z[row]) + decoder.position(offset))
        expected = whole[row, :, 4 * down : 4 * down + 4, 4 * across : 4 * across + 4]
        assert torch.allclose(patch.unflatten(0, (3, 4, 4)), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["conv", "mlp", "broadcast"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_all_forms_of_vae_under_both_likelihoods(kind: str, likelihood: str) -> None:
    net = VAENet(kind=kind, size=16, channels=3, width=8, latent=5, likelihood=likelihood)  # type: ignore[arg-type]
    x = torch.rand(2, 3, 16, 16)
    assert net(x).shape == x.shape
    assert (net.logvar is not None) == (likelihood == "gaussian")


@pytest.mark.parametrize("wrong", [{"kind": "cubist"}, {"likelihood": "poisson"}])
def test_vae_refuses_what_it_does_not_know(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        VAENet(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["conv", "mlp"])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("size", [12, 28, 32])
def test_generator_and_critic_meet(kind: str, classes: int, size: int) -> None:
    shape = {"channels": 2, "size": size, "classes": classes}
    measures = {"conv": {"width": 4}, "mlp": {"hidden": 8}}[kind]
    generator, critic = (
        generator_of(kind, latent=5, **measures, **shape),
        critic_of(kind, **measures, **shape),
    )
    z, label = torch.randn(3, 5), torch.tensor([0, 1, 2])
    x = generator.eval()(z, label)
    assert x.shape == (3, 2, size, size)
    assert x.abs().max() <= 1
    assert critic(x, label).shape == (3,)
    other = generator(z, label.flip(0))
    assert torch.equal(other[1], x[1])
    assert torch.equal(other[0], x[0]) == (classes == 0)


@pytest.mark.parametrize("size", [3, 27, 30])
def test_a_convolutional_generator_refuses_a_side_it_cannot_halve(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        generator_of("conv", size=size)


def test_unknown_kinds_of_nets_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mlp, conv, dcgan, not cubist"):
        generator_of("cubist")
    with pytest.raises(ValueError, match="not cubist"):
        critic_of("cubist")


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("widths", [[8], [8, 16], [8, 8, 16]])
def test_unet_gives_what_it_takes(patch: int, widths: list[int]) -> None:
    net = UNet(size=16, channels=3, patch=patch, widths=widths, blocks=2, attention=[4], classes=2)
    x = torch.randn(2, 3, 16, 16)
    assert net(x, torch.tensor([0.0, 999.0]), torch.tensor([0, 2])).shape == x.shape


def test_unet_hears_time_and_label() -> None:
    net = UNet(size=8, widths=[8, 16], blocks=1, attention=[2], classes=2).eval()
    x, t, label = torch.randn(1, 1, 8, 8), torch.tensor([10.0]), torch.tensor([0])
    said = net(x, t, label)
    assert not torch.allclose(said, net(x, t + 500, label))
    assert not torch.allclose(said, net(x, t, label + 1))


def test_unet_refuses_a_size_that_its_levels_do_not_divide() -> None:
    with pytest.raises(ValueError, match="30"):
        UNet(size=30, patch=2, widths=[8, 16])


def test_sinusoids_are_those_of_diffusers() -> None:
    from diffusers.models.embeddings import get_timestep_embedding

    t = torch.tensor([0.0, 1.0, 17.5, 999.0])
    oracle = get_timestep_embedding(t, 32, flip_sin_to_cos=True, downscale_freq_shift=0)
    assert torch.allclose(sinusoids(t, 32), oracle, atol=1e-4)


def test_a_unet_sees_its_guess_beside_the_picture() -> None:
    net = UNet(
        size=8,
        channels=2,
        widths=[8, 16],
        blocks=1,
        attention=[2],
        classes=3,
        told=6,
        pooled=6,
        guess=12,
    ).eval()
    torch.nn.init.normal_(net.leave.weight, std=0.1)
    x, t, label = torch.randn(2, 2, 8, 8), torch.tensor([3.0, 700.0]), torch.tensor([0, 3])
    pooled = torch.nn.functional.normalize(torch.randn(2, 6), dim=1)
    cond = TextCondition(torch.randn(2, 4, 6), torch.zeros(2, 4), pooled)
    with torch.no_grad():
        said = net(x, t, label, cond)
        assert net.guess is not None
        own = net.guess(pooled, label)
        assert own.shape == x.shape
        assert torch.equal(net(x, t, label, cond, own), said)
        assert not torch.allclose(net(x, t, label, cond, own + 1), said)
    with pytest.raises(ValueError, match="pooled is 0"):
        UNet(size=8, widths=[8, 16], guess=4)
