"""What `make demo` asks a service for, over tiny models."""

from pathlib import Path

import pytest

from atelier.cli import demo
from tests.app.studio import a_studio

FAMILIES = ("latent_diffusion", "diffusion", "video_diffusion", "wavenet", "language", "embedding")


@pytest.mark.slow
def test_each_model_generates_something(
    redis_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "STEPS", 2)
    monkeypatch.setattr(demo, "SECONDS", 0.1)
    with a_studio(redis_server, tmp_path / "state", FAMILIES) as studio:
        count = demo.make_everything(studio.url, tmp_path / "demo")
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert count == len(names)
    assert {"plain-7.png", "tiny-diffusion-7-sheet.png", "tiny-video_diffusion-7.mp4"} <= names
    assert {"tiny-wavenet-7.wav", "tiny-language-7.md", "tiny-embedding-7.npy"} <= names
    assert any(name.endswith(".webp") for name in names)  # a walk
