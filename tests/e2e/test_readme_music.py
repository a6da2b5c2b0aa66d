"""What the README says of music is so, with a tiny model under the shipped one's name."""

import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from models.music.midi import write_midi
from tests.e2e.conftest import Stack, playing
from tests.e2e.test_music import TUNE
from tests.e2e.test_readme import ROOT, bash, blocks

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with playing(tmp_path_factory.mktemp("checkpoints")) as stack:
        yield stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tune.mid").write_bytes(write_midi(TUNE))
    return tmp_path


def test_the_curl_lines_do_what_they_say(service: Stack, folder: Path) -> None:
    script = "\n".join(blocks("sh", "curl", of="audio"))
    assert script.count("curl ") >= 7
    bash(script, service, folder)
    with wave.open(str(folder / "jazz.wav")) as sound:
        assert sound.getnframes() == 10 * 8000
    assert len(soundfile.read(folder / "folk.wav")[0]) == 20 * 8000
    assert len(soundfile.read(folder / "rainy.ogg")[0]) == 10 * 8000
    (played, *_) = json.loads((folder / "played.json").read_text())["outputs"]
    assert (played["role"], played["content_type"], played["seconds"]) == (
        "audio",
        "audio/mpeg",
        0.8,
    )


def test_the_commands_run(service: Stack, folder: Path) -> None:
    (block,) = blocks("sh", "atelier generate", of="audio")
    assert bash(block, service, folder).stdout.splitlines() == [
        "song.wav",
        "song.mid",
        "tune.mp3",
        "the same bytes",
    ]


def test_the_python_example_runs(service: Stack, folder: Path) -> None:
    (example,) = blocks("python", "from atelier import Client", of="audio")
    environment = os.environ | {"ATELIER_URL": service.url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", example]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=60)
    sounds = [soundfile.read(folder / name)[0].tobytes() for name in ("heard.wav", "made.wav")]
    assert sounds[0] == sounds[1]
