"""The family of video GANs: what does not fit together is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, load
from models.engine.batching import Placement
from models.nets.autoencoder import Autoencoder
from models.video.video_gan import VideoGAN
from tests.models.families import LATENT, tiny_checkpoint

CPU = Placement(torch.device("cpu"))


@pytest.fixture
def whole(tmp_path: Path) -> Checkpoint:
    return load(tiny_checkpoint(tmp_path, "video_gan"))


@pytest.mark.parametrize("role", ["clip", "guess", "autoencoder"])
def test_it_needs_its_parts(role: str, whole: Checkpoint) -> None:
    parts = {name: one for name, one in whole.requires.items() if name != role}
    with pytest.raises(CheckpointError, match=f"it needs no {role}"):
        VideoGAN(replace(whole, requires=parts), CPU)


@pytest.mark.parametrize("style", [-1, 3])
def test_a_style_that_its_guess_lacks_is_refused(style: int, whole: Checkpoint) -> None:
    header = whole.header.model_copy(update={"net": {**whole.header.net, "style": style}})
    with pytest.raises(CheckpointError, match=f"no style {style}, only 0 to 2"):
        VideoGAN(replace(whole, header=header), CPU)


def test_an_autoencoder_of_another_scale_is_refused(whole: Checkpoint) -> None:
    """The API reads the size of clips from the header alone."""
    config: dict[str, Any] = {**LATENT["autoencoder"], "size": 64, "patch": 4}  # type: ignore[dict-item]
    autoencoder = whole.requires["autoencoder"]
    net = Autoencoder(**config)
    assert net.side == 8
    header = autoencoder.header.model_copy(update={"net": config})
    parts = {
        **whole.requires,
        "autoencoder": replace(autoencoder, header=header, tensors=net.state_dict()),
    }
    with pytest.raises(CheckpointError, match="64 pixels of 8 latents, not 32"):
        VideoGAN(replace(whole, requires=parts), CPU)
