"""The learner of moving pictures at tiny size."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint, load
from models.nets.unet import UNet
from models.nets.video_unet import VideoUNet
from tests.models.families import LATENT, tiny_checkpoint
from tests.training import clips as made_up
from tests.training.learners.test_latent_diffusion import components, goes_on_exactly, run
from training.learners.standard import StandardLearner
from training.learners.video.video_diffusion import (
    VideoDiffusionObjective,
    VideoDiffusionSettings,
    load_image_weights,
    mixed_noise,
)
from training.pretrained import load_guess
from training.recipe import Batch

__all__ = ["components"]  # a fixture

CPU = torch.device("cpu")
UNET = {k: v for k, v in LATENT["unet"].items() if k != "guess"}  # type: ignore[union-attr]
CARD = Header(
    family="video_diffusion",
    net={"frames": 8, "unet": UNET},
    process={"schedule": "cosine", "prediction": "v", "clip": False, "shared": 0.5},
    labels=["flat", "round"],
)
SETTINGS = VideoDiffusionSettings(steps=60, warmup=5, stills=4, style=1)


def painter(folder: Path) -> Checkpoint:
    return load(tiny_checkpoint(folder, "latent_diffusion"))


def batch(count: int) -> Batch:
    return made_up.latents(count), made_up.texts(count).clip_texts


@pytest.mark.slow
def test_it_learns_and_goes_on_exactly(components: Path) -> None:
    rows = batch(6)
    began = painter(components)

    def make() -> StandardLearner[Any]:
        return StandardLearner(
            VideoDiffusionObjective(CARD, began, made_up.texts(6), SETTINGS, CPU)
        )

    goes_on_exactly(make, rows)
    learner = make()
    losses = run(learner, rows, 0, 60)
    assert sum(losses[-10:]) < sum(losses[:10])
    assert learner.sample(12, torch.Generator().manual_seed(0)).shape == (12, 3, 32, 32)


def test_it_begins_as_the_painter_of_each_frame(components: Path) -> None:
    began = painter(components)
    learner = StandardLearner(VideoDiffusionObjective(CARD, began, made_up.texts(2), SETTINGS, CPU))
    painted = UNet(**LATENT["unet"])  # type: ignore[arg-type]
    tensors = {k.removeprefix("unet."): v for k, v in began.tensors.items() if "unet." in k}
    painted.load_state_dict(tensors)
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(2, 8, 4, 8, 8, generator=rng)
    t, style = torch.tensor([10.0, 700.0]), torch.tensor([0, 2])
    cond = made_up.texts(2).condition(torch.tensor([1, 2]))
    expected = load_guess()(cond.pooled, style)
    with torch.no_grad():
        said = learner.net.eval()(x, t, style, cond, expected)
        for frame in range(8):
            alone = painted.eval()(x[:, frame], t, style, cond, expected)
            assert torch.allclose(said[:, frame], alone, atol=1e-5)


def test_another_net_than_the_painter_is_refused(components: Path) -> None:
    wider = VideoUNet(**{**UNET, "widths": [16, 16]})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_image_weights(wider, painter(components))


def test_frames_share_a_part_of_their_noise() -> None:
    noise = mixed_noise((4000, 3, 2), 0.5, torch.Generator().manual_seed(0))
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert (noise[:, 0] * noise[:, 1]).mean() == pytest.approx(0.5, abs=0.03)
    alone = mixed_noise((4, 1, 2), 0.5, torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    assert torch.equal(alone, torch.randn(4, 1, 2, generator=rng))
