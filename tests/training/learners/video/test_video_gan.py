"""The learner of a GAN that makes clips, at tiny size."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.artifacts import Video
from models.checkpoint.header import COMPONENTS, Header, read_header
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.params.video import VideoGANParams
from tests.models.families import VIDEO_GAN, load_family, tiny_parts
from tests.training import clips as made_up
from tests.training.data.video.test_own_clips import animation
from tests.training.learners.test_latent_diffusion import components, goes_on_exactly
from training.errors import TrainingRefused
from training.learners.video.video_gan import VideoGANLearner, VideoGANSettings
from training.pipeline import TrainOptions
from training.pipeline import run as carry_out

__all__ = ["components"]  # a fixture

CPU = torch.device("cpu")
NET: dict[str, Any] = {**VIDEO_GAN, "blur": 0.5}
SETTINGS = VideoGANSettings(steps=8, alone=0.5, r1_every=3, cool=0.5)
JUDGED = {"loss", "distance", "critic", "on_real", "on_fake"}


def learner() -> VideoGANLearner:
    card = Header(family="video_gan", net=NET)
    return VideoGANLearner(card, {"width": 2}, SETTINGS, CPU)


def rows(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    texts = made_up.texts(count)
    return made_up.latents(count), texts.pooled[texts.clip_texts]


@pytest.mark.slow
@pytest.mark.usefixtures("components")
def test_it_learns_and_goes_on_exactly() -> None:
    batch = rows(4)
    goes_on_exactly(learner, batch)
    one = learner()
    before = {name: weight.clone() for name, weight in one.weights().items()}
    distances = []
    for step in range(8):
        losses = one.step(batch, torch.Generator().manual_seed(step))
        distances.append(losses["loss" if step < 4 else "distance"])
        assert set(losses) == ({"loss"} if step < 4 else JUDGED)
    assert distances[-1] < distances[0]
    assert any(not torch.equal(before[name], weight) for name, weight in one.weights().items())
    pictures = one.sample(20, torch.Generator().manual_seed(0))
    assert pictures.shape == (20, 3, 32, 32)
    assert pictures.min() >= 0
    assert pictures.max() <= 1


@pytest.mark.usefixtures("components")
def test_it_begins_from_no_checkpoint() -> None:
    with pytest.raises(TrainingRefused, match="critics"):
        learner().begin({})


@pytest.mark.slow
def test_it_learns_from_a_folder_of_videos(
    components: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own recipe, made tiny by a file; what comes out makes videos."""
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    upscaler = tiny_parts(components)["upscaler"]
    here = components / COMPONENTS
    (here / f"{upscaler.id}.safetensors").rename(here / "upscaler-emoji.safetensors")
    for number in range(9):
        animation(tmp_path / f"films/red-apple-{number}.gif", [number, 100, 200])
    change = """
        base = "video-emoji"
        steps = 2
        batch = 4
        [net]
        text_dim = 16
        latent = 20
        hidden = 4
        width = 34
        frames = 8
        size = 8
        style = 1
        [judge]
        width = 2
    """
    (tmp_path / "own.toml").write_text(change)
    out = tmp_path / "out"
    order = TrainOptions(
        str(tmp_path / "own.toml"), out, tmp_path / "runs", str(tmp_path / "films")
    )
    path = carry_out(order)
    header = read_header(path)
    assert (header.data, header.licence) == (
        "The user's own videos, from the folder films.",
        "the user's own",
    )
    assert header.recipe["train_pictures"] == 9 - header.recipe["test_pictures"]  # type: ignore[operator]
    model = load_family(path)
    params = VideoGANParams(prompt="red apple", frames=8)
    (clip,) = run_alone(model.generate(params, seeded(0)))
    assert isinstance(clip, Video)
    assert clip.pixels.shape == (8, 3, 32, 32)


def test_the_diffusion_takes_no_other_data(tmp_path: Path) -> None:
    order = TrainOptions("video-diffusion-emoji", tmp_path, tmp_path, str(tmp_path))
    with pytest.raises(TrainingRefused, match="takes no other data"):
        carry_out(order)
