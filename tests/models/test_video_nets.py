"""The nets that make clips: measures, loops, and what they refuse."""

import pytest
import torch

from models.nets.unet import TextCondition
from models.nets.video_gan import FrameCritic, VideoCritic, VideoGenerator
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


@pytest.mark.parametrize(("frames", "size"), [(8, 32), (16, 64), (32, 32), (16, 128)])
def test_generator_and_critics_meet_at_every_measure(frames: int, size: int) -> None:
    make = VideoGenerator(latent=5, told=7, asked=3, width=2, frames=frames, size=size)
    text = torch.randn(2, 7)
    clips = make(torch.randn(2, 5), text)
    assert clips.shape == (2, frames, 3, size, size)
    assert clips.abs().max() <= 1
    assert VideoCritic(width=2, told=7, frames=frames, size=size)(clips, text).shape == (2,)
    assert FrameCritic(width=2, told=7, size=size)(clips[:, 0], text).shape == (2,)


def test_without_words_there_is_nothing_to_ask() -> None:
    nothing = torch.empty(2, 0)
    clips = VideoGenerator(latent=5, width=2, frames=8, size=32)(torch.randn(2, 5), nothing)
    assert VideoCritic(width=2, frames=8, size=32)(clips, nothing).shape == (2,)


@pytest.mark.parametrize(("frames", "size"), [(0, 64), (12, 64), (16, 16), (16, 48)])
def test_measures_that_doubling_misses_are_refused(frames: int, size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8" if size == 64 else "power of two"):
        VideoGenerator(frames=frames, size=size)


def test_the_critic_judges_what_was_asked_for() -> None:
    critic = VideoCritic(width=2, told=7, frames=8, size=32)
    clips = torch.rand(2, 8, 3, 32, 32)
    text = torch.randn(2, 7)
    assert not torch.allclose(critic(clips, text), critic(clips, text.flip(0)), atol=1e-6)
