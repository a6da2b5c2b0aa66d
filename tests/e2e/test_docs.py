"""Every code block of the README and of docs/ that needs a service runs, and does what it says."""

import io
import json
import os
import subprocess
import sys
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from models.checkpoint.weights import load, save
from models.music.midi import write_midi
from models.score import Note, Score
from tests.docs import PAGES, ROOT, Block, blocks_of, name_of
from tests.e2e.conftest import Stack, running
from tests.models.families import tiny_checkpoint, tiny_composing

DEFAULT = "http://127.0.0.1:8000"
FAMILY_OF = {
    "t2i-emoji": "latent_diffusion",
    "ddpm-fashion": "diffusion",
    "all-minilm-l6-v2": "embedding",
    "dcgan-emoji": "gan",
    "vae-fashion": "vae",
    "video-diffusion-emoji": "video_diffusion",
    "wavenet-music": "wavenet",
}
LABELS = {
    "t2i-emoji": ["noto", "twemoji"],
    "ddpm-fashion": ["Ankle boot", "Bag", "Shirt"],
}
SORA = "ignore:The Sora API:DeprecationWarning"  # OpenAI's own
TUNE = Score((Note(0.0, 0.4, 60), Note(0.4, 0.8, 62)))

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]  # all models are loaded first


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with tiny models under the names of the shipped ones."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, family in FAMILY_OF.items():
        make = tiny_composing if family == "wavenet" else tiny_checkpoint
        path = make(folder, family).rename(folder / f"{name}.safetensors")
        if name in LABELS:
            tiny = load(path)
            save(path, tiny.header.model_copy(update={"labels": LABELS[name]}), tiny.tensors)
    with running("smollm2-135m", ATELIER_CHECKPOINTS=str(folder)) as stack:
        stack.load(*FAMILY_OF, "smollm2-135m")
        yield stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a page's blocks run: a reader has a picture and a score there."""
    Image.new("RGB", (64, 64), "orange").save(tmp_path / "photo.png")
    (tmp_path / "tune.mid").write_bytes(write_midi(TUNE))
    return tmp_path


def run(block: Block, stack: Stack, folder: Path) -> str:
    """What a block prints, run as a reader types it, but for this service."""
    text = block.text.replace(DEFAULT, stack.url).replace("256x256", "128x128")
    text = text.replace(".venv/bin/atelier", f"{sys.executable} -m atelier")
    command = ["bash", "-euo", "pipefail", "-c", text]
    if block.language == "python":
        command = [sys.executable, "-W", "error", "-W", SORA, "-c", text]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"ATELIER_URL": stack.url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(block.runs for block in blocks_of(p))], ids=name_of
)
def test_the_blocks_of_a_page_run(page: Path, service: Stack, folder: Path) -> None:
    printed = "".join(run(b, service, folder) for b in blocks_of(page) if b.runs)
    check = CHECKS.get(page.name)
    if check:
        check(folder, printed)


def job_in(path: Path) -> dict[str, Any]:
    """The finished job that a block saved."""
    job: dict[str, Any] = json.loads(path.read_text())
    assert job["status"] == "completed"
    return job


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def frames_of(path: Path) -> int:
    with av.open(io.BytesIO(path.read_bytes()), "r") as box:
        return len(list(box.decode(video=0)))


def check_readme(folder: Path, printed: str) -> None:
    with Image.open(folder / "apple.png") as apple:
        assert apple.size == (128, 128)
    with wave.open(str(folder / "jazz.wav")) as sound:
        assert sound.getnframes() == 5 * 8000
    assert "data: [DONE]\n\n" in printed
    assert printed.rstrip().endswith("completed")
    assert frames_of(folder / "crying.mp4") == 16
    assert is_png(folder / "green.png")


def check_quickstart(folder: Path, printed: str) -> None:
    apples = job_in(folder / "apples.json")
    assert apples["model"] == "t2i-emoji"
    assert {(o["width"], o["height"]) for o in apples["outputs"]} == {(128, 128)}
    assert not any(o["notes"] for o in apples["outputs"])
    assert is_png(folder / "apple.png")
    assert '"seed": 7' in printed
    assert "the same bytes" in printed
    assert len(list((folder / "pictures").iterdir())) == 4 + 5
    assert frames_of(folder / "heart.mp4") == 16
    assert "vae-fashion" in printed
    assert all(is_png(folder / name) for name in ("a.png", "b.png", "c.png"))


def check_http_api(folder: Path, printed: str) -> None:
    assert "event: completed" in printed
    assert '"object":"list"' in printed
    assert '"id":"dcgan-emoji"' in printed
    assert job_in(folder / "varied.json")["outputs"]
    with zipfile.ZipFile(folder / "results.zip") as archive:
        assert "jobs.json" in archive.namelist()


def check_events(folder: Path, printed: str) -> None:
    assert "event: completed\n" in printed
    assert "\ncompleted {" in printed


def check_errors(folder: Path, printed: str) -> None:
    assert printed == "422 invalid_parameter temperature\n"


def check_images(folder: Path, printed: str) -> None:
    assert len(job_in(folder / "typical.json")["outputs"]) == 4 + 1
    boots = job_in(folder / "boots.json")
    assert (boots["input"]["class_label"], len(boots["outputs"])) == ("Ankle boot", 4)
    varied = job_in(folder / "varied.json")
    assert [o["role"] for o in varied["outputs"]] == ["picture"] * 4 + ["sheet"]
    with Image.open(folder / "walk.webp") as walk:
        assert walk.n_frames == 16  # type: ignore[attr-defined]
    names = {path.name for path in (folder / "pictures").iterdir()}
    assert len(names) == 8 + 2 + 1 + 5
    assert names >= {"dcgan-emoji-9.png", "dcgan-emoji-9-sheet.png", "dcgan-emoji-9.webp"}
    assert same_files(folder / "again", folder / "pictures", "dcgan-emoji-9.png")


def same_files(one: Path, other: Path, name: str) -> bool:
    return (one / name).read_bytes() == (other / name).read_bytes()


def check_text_to_image(folder: Path, printed: str) -> None:
    assert len(job_in(folder / "apples.json")["outputs"]) == 4
    assert same_files(folder / "again", folder / "pictures", "t2i-emoji-7.png")


def check_video(folder: Path, printed: str) -> None:
    crying = job_in(folder / "crying.json")
    assert [o["role"] for o in crying["outputs"]] == ["video", "poster", "sheet"]
    assert frames_of(folder / "crying.mp4") == 32
    assert job_in(folder / "moved.json")["outputs"][0]["content_type"] == "image/gif"
    assert printed.split("\n")[:2] == ["heart.mp4", "the same bytes"]
    with WebPImageFile(folder / "waving.webp") as waving:
        assert waving.n_frames == 16
    assert frames_of(folder / "heart-again.mp4") == 32


def check_audio(folder: Path, printed: str) -> None:
    with wave.open(str(folder / "jazz.wav")) as sound:
        assert sound.getnframes() == 10 * 8000
    assert len(soundfile.read(folder / "folk.wav")[0]) == 20 * 8000
    assert len(soundfile.read(folder / "rainy.ogg")[0]) == 10 * 8000
    (played, *_) = job_in(folder / "played.json")["outputs"]
    assert (played["role"], played["content_type"], played["seconds"]) == (
        "audio",
        "audio/mpeg",
        0.8,
    )
    assert printed.splitlines() == ["song.wav", "song.mid", "tune.mp3", "the same bytes"]
    sounds = [soundfile.read(folder / name)[0].tobytes() for name in ("heard.wav", "whole.wav")]
    assert sounds[0] == sounds[1]


def check_stories(folder: Path, printed: str) -> None:
    story, poem, more = (job_in(folder / f"{name}.json") for name in ("story", "poem", "more"))
    assert story["outputs"][0]["content_type"].startswith("text/markdown")
    assert poem["input"]["form"] == "haiku"
    assert more["outputs"][0]["completion_tokens"] <= 60
    assert len(printed.splitlines()) >= 3


def check_openai(folder: Path, printed: str) -> None:
    assert "32x32 job_" in printed
    with Image.open(folder / "apple-1.png") as apple:
        assert apple.size == (128, 128)
    assert is_png(folder / "green.png")
    assert is_png(folder / "partial-0.png")
    assert is_png(folder / "dog.png")
    events = (folder / "dog.events").read_text()
    assert events.count("event: image_generation.completed\n") == 1
    assert 1 <= events.count("event: image_generation.partial_image\n") <= 2
    assert "\nBag\n" in printed
    assert "invalid_parameter size " in printed
    assert "{'animal': '" in printed
    assert 'weather {"city": "' in printed
    assert "response: " in printed


def check_mcp(folder: Path, printed: str) -> None:
    with Image.open(folder / "apple.png") as picture:
        assert picture.format == "PNG"
    assert printed.startswith("atelier://artifacts/")


def check_install(folder: Path, printed: str) -> None:
    """Its cell shows something in notebooks alone."""
    assert not printed


def check_embeddings(folder: Path, printed: str) -> None:
    assert printed.startswith("(3, 24) [")
    (output,) = job_in(folder / "vectors.json")["outputs"]
    assert (output["role"], output["content_type"]) == ("vectors", "application/x-npy")
    assert np.load(folder / "pair.npy").shape == (2, 24)


CHECKS: dict[str, Callable[[Path, str], None]] = {
    "README.md": check_readme,
    "quickstart.md": check_quickstart,
    "http-api.md": check_http_api,
    "events.md": check_events,
    "errors.md": check_errors,
    "images.md": check_images,
    "text-to-image.md": check_text_to_image,
    "video.md": check_video,
    "audio.md": check_audio,
    "stories.md": check_stories,
    "embeddings.md": check_embeddings,
    "openai.md": check_openai,
    "mcp.md": check_mcp,
    "install.md": check_install,
}


def test_every_page_with_commands_is_checked() -> None:
    assert {p.name for p in PAGES if any(b.runs for b in blocks_of(p))} == CHECKS.keys()
