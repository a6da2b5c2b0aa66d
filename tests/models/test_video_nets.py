"""The nets that make clips: measures, loops, and what they refuse."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from models.nets.unet import TextCondition
from models.nets.video_gan import FrameCritic, LoopConvolution, VideoCritic, VideoGenerator
from models.nets.video_unet import VideoUNet
from training.optim.init import initialise


def unet() -> VideoUNet:
    net = VideoUNet(
        size=8,
        channels=4,
        patch=1,
        widths=[8, 16],
        blocks=1,
        attention=[4],
        classes=2,
        told=6,
        pooled=5,
    )
    return initialise(net, torch.Generator().manual_seed(0)).eval()


def said(net: VideoUNet, x: torch.Tensor) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    cond = TextCondition(
        torch.randn(2, 3, 6, generator=rng), torch.zeros(2, 3), torch.randn(2, 5, generator=rng)
    )
    expected = torch.randn(2, 4, 8, 8, generator=rng)
    with torch.no_grad():
        return net(x, torch.tensor([3.0, 700.0]), torch.tensor([0, 2]), cond, expected)


@pytest.mark.parametrize("frames", [1, 2, 5, 16])
def test_the_unet_says_the_same_wherever_a_loop_begins(frames: int) -> None:
    net = unet()
    x = torch.randn(2, frames, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    here = said(net, x)
    assert here.shape == x.shape
    assert torch.allclose(said(net, x.roll(1, 1)), here.roll(1, 1), atol=1e-5)


def test_frames_see_each_other_and_pictures_do_not() -> None:
    net = unet()
    x = torch.randn(2, 6, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    changed = x.clone()
    changed[:, 3] += 1
    for frame in (0, 2, 4):
        assert not torch.allclose(said(net, x)[:, frame], said(net, changed)[:, frame], atol=1e-6)
    other = torch.cat([x[:1, :1], changed[1:, 3:4]])
    assert torch.allclose(said(net, x[:, :1])[0], said(net, other)[0], atol=1e-6)


NET: dict[str, Any] = {"latent": 9, "text_dim": 7, "hidden": 3, "width": 34}


def generator(**measures: Any) -> VideoGenerator:
    rng = torch.Generator().manual_seed(0)
    net = VideoGenerator(**NET, **measures).eval()
    for weight in net.parameters():
        weight.data.normal_(0, 0.1, generator=rng)
    return net


@pytest.mark.parametrize(("frames", "size"), [(8, 8), (16, 16), (32, 16), (16, 32)])
def test_generator_and_critics_meet_at_every_measure(frames: int, size: int) -> None:
    make = generator(frames=frames, size=size)
    text = F.normalize(torch.randn(2, 7), dim=1)
    clips = make(torch.randn(2, 9), text, torch.randn(2, 4, size, size))
    assert clips.shape == (2, frames, 4, size, size)
    critic = VideoCritic(width=2, text_dim=7, frames=frames, size=size)
    assert critic(clips, text).shape == (2,)
    assert FrameCritic(width=2, text_dim=7, size=size)(clips[:, 0], text).shape == (2,)


def test_the_first_frame_of_a_made_clip_is_like_any_other() -> None:
    """A convolution that begins a frame later over its loop gives what begins a frame later."""
    layer = LoopConvolution(3, 2, time=False, side=True)
    doubling = LoopConvolution(3, 2, time=True, side=False)
    x = torch.randn(2, 3, 4, 8, 8)
    with torch.no_grad():
        assert torch.allclose(layer(x.roll(1, 2)), layer(x).roll(1, 2), atol=1e-6)
        assert doubling(x).shape == (2, 2, 8, 8, 8)
        assert torch.allclose(doubling(x.roll(1, 2)), doubling(x).roll(2, 2), atol=1e-6)


def test_a_convolution_over_a_loop_equals_one_over_the_loop_repeated() -> None:
    layer = LoopConvolution(3, 2, time=True, side=True).eval()
    x = torch.randn(2, 3, 4, 8, 8)
    with torch.no_grad():
        three = F.conv_transpose3d(x.repeat(1, 1, 3, 1, 1), layer.conv.weight, None, (2, 2, 2), 1)
        expected = F.relu(layer.norm(three[:, :, 8:16]))
        assert torch.allclose(layer(x), expected, atol=1e-6)


def test_frames_are_a_picture_and_what_differs_from_it() -> None:
    net = generator(frames=8, size=8)
    z, text = torch.randn(2, 9), F.normalize(torch.randn(2, 7), dim=1)
    seen = torch.randn(2, 4, 8, 8)
    bias = net.film.bias
    assert bias is not None
    with torch.no_grad():
        clips = net(z, text, seen)
        net.film.weight.zero_()
        bias.zero_()
        still = net(z, text, seen)
        assert torch.equal(still, still[:, :1].expand_as(still))
        assert not torch.allclose(clips, clips[:, :1].expand_as(clips), atol=1e-3)
        bias.fill_(0.25)
        assert torch.allclose(net(z, text, seen), still + 0.25, atol=1e-6)


def test_what_is_expected_comes_through() -> None:
    """Without weights of its own, a net shows the expected picture."""
    net = generator(frames=8, size=8)
    with torch.no_grad():
        for layer in (net.picture, net.film):
            layer.weight.zero_()
            assert layer.bias is not None
            layer.bias.zero_()
        seen = torch.randn(2, 4, 8, 8)
        clips = net(torch.randn(2, 9), torch.randn(2, 7), seen)
    assert torch.allclose(clips, seen[:, None].expand_as(clips), atol=1e-6)


def test_texts_are_blurred_by_their_own_numbers() -> None:
    net = generator(frames=8, size=8, blur=0.5)
    text = F.normalize(torch.randn(4000, 7, generator=torch.Generator().manual_seed(1)), dim=1)
    z = torch.randn(4000, 9, generator=torch.Generator().manual_seed(2))
    blurred = net.blur_text(z, text)
    assert torch.allclose(blurred.norm(dim=1), torch.ones(4000), atol=1e-5)
    assert torch.equal(blurred, net.blur_text(torch.cat([z[:, :7], 0 * z[:, 7:]], 1), text))
    expected = F.normalize(text + 0.5 * z[:, :7] / 7**0.5, dim=1)
    assert torch.allclose(blurred, expected, atol=1e-6)
    assert torch.allclose(generator(frames=8, size=8, blur=0.0).blur_text(z, text), text, atol=1e-6)


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        ({"frames": 0}, "multiple of 8"),
        ({"frames": 12}, "multiple of 8"),
        ({"size": 4}, "power of two"),
        ({"size": 12}, "power of two"),
        ({"latent": 200}, "more than text_dim"),
        ({"width": 32}, "more than 32"),
    ],
)
def test_measures_that_make_no_net_are_refused(measures: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VideoGenerator(**measures)  # type: ignore[arg-type]


def test_the_critic_judges_what_was_asked_for() -> None:
    critic = VideoCritic(width=2, text_dim=7, frames=8, size=8)
    clips, text = torch.rand(2, 8, 4, 8, 8), torch.randn(2, 7)
    assert not torch.allclose(critic(clips, text), critic(clips, text.flip(0)), atol=1e-6)
