"""What the README says is so: its curl lines, its Python, its commands, and the settings' page."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.core.settings import Settings
from tests.e2e.conftest import Stack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DEFAULT = "http://127.0.0.1:8000"

pytestmark = pytest.mark.stack


def blocks(language: str, word: str, of: str = "pictures") -> list[str]:
    """The code blocks of the README in a language that hold a word; of pictures, audio or video."""
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return [block for block in found if word in block and of == _of(block)]


def _of(block: str) -> str:
    return next((kind for kind in ("audio", "video") if kind in block), "pictures")


def test_the_curl_lines_do_what_they_say(stack: Stack, tmp_path: Path) -> None:
    script = "\n".join(blocks("sh", "curl"))
    assert script.count("curl ") >= 9
    stack.load("t2i-emoji", "dcgan-emoji", "ddpm-fashion", "vae-fashion", "smollm2-135m")
    ran = bash(script, stack, tmp_path)
    apples = json.loads((tmp_path / "apples.json").read_text())
    assert (apples["status"], apples["model"]) == ("completed", "t2i-emoji")
    assert {(o["width"], o["height"]) for o in apples["outputs"]} == {(256, 256)}
    assert not any(o["notes"] for o in apples["outputs"])
    job = json.loads((tmp_path / "job.json").read_text())
    assert (job["status"], len(job["outputs"])) == ("completed", 4)
    assert (tmp_path / "emoji.png").read_bytes().startswith(b"\x89PNG")
    boots = json.loads((tmp_path / "boots.json").read_text())
    assert (boots["status"], boots["input"]["class_label"]) == ("completed", "Ankle boot")
    varied = json.loads((tmp_path / "varied.json").read_text())
    assert [o["role"] for o in varied["outputs"]] == ["picture"] * 4 + ["sheet"]
    with Image.open(tmp_path / "walk.webp") as walk:
        assert walk.n_frames == 16  # type: ignore[attr-defined]
    story, poem, more = (
        json.loads((tmp_path / name).read_text())
        for name in ("story.json", "poem.json", "more.json")
    )
    assert (story["status"], story["outputs"][0]["content_type"][:13]) == (
        "completed",
        "text/markdown",
    )
    assert (poem["status"], poem["input"]["style"]) == ("completed", "haiku")
    assert more["outputs"][0]["completion_tokens"] <= 60
    (story_end,) = [job for job in ended_jobs(ran.stdout) if job["type"] == "story"]
    assert story_end["outputs"][0]["text"]  # deltas only if it was not written before curl came
    assert (tmp_path / "sea.events").read_text().endswith("data: [DONE]\n\n")
    assert '"seed": 7' in ran.stdout
    assert "event: completed" in ran.stdout
    assert '"object":"list"' in ran.stdout
    assert '"id":"dcgan-emoji"' in ran.stdout


def ended_jobs(events: str) -> list[dict[str, Any]]:
    """The jobs that streams of events end with."""
    ends = re.findall(r"^event: completed\ndata: (.+)$", events, re.MULTILINE)
    return [json.loads(data) for data in ends]


def bash(script: str, stack: Stack, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Lines of the README as they are typed, for this service."""
    script = script.replace(DEFAULT, stack.url)
    script = script.replace(".venv/bin/atelier", f"{sys.executable} -m atelier")
    script = script.replace("python3 -c", f"{sys.executable} -c")
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"ATELIER_URL": stack.url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran


def test_the_python_example_runs(stack: Stack, tmp_path: Path) -> None:
    (example,) = blocks("python", "from atelier import Client")
    environment = os.environ | {"ATELIER_URL": stack.url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", example]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)
    for name in ("a.png", "b.png", "c.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_the_commands_run(stack: Stack, tmp_path: Path) -> None:
    (block,) = blocks("sh", "atelier generate")
    ran = bash(block, stack, tmp_path)
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert len(names) == 8 + 2 + 1 + 5 + 4
    again = (tmp_path / "again" / "t2i-emoji-7.png").read_bytes()
    assert again == (tmp_path / "pictures" / "t2i-emoji-7.png").read_bytes()
    assert names >= {"dcgan-emoji-7.png", "dcgan-emoji-7-sheet.png", "dcgan-emoji-7.webp"}
    assert "vae-fashion" in ran.stdout


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_as_it_is(name: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    description = Settings.model_fields[name].description
    assert description
    assert re.search(rf"\| `ATELIER_{name.upper()}` \| .+ \| {re.escape(description)} \|", page)


def test_the_page_of_stories_runs(stack: Stack, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "stories.md").read_text()
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    environment = os.environ | {"ATELIER_URL": stack.url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", python]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=100)
    (lines,) = [x for x in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "atelier write" in x]
    assert len(bash(lines, stack, tmp_path).stdout.splitlines()) >= 3
