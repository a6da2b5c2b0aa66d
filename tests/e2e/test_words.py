"""Words to pictures over the whole service: the client, the commands, and the same bytes again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from atelier import Client
from tests.atelier.commands import atelier, refused
from tests.e2e.conftest import PAINTER, Stack

pytestmark = pytest.mark.stack


def test_words_become_a_picture_and_previews_on_the_way(painter: Stack) -> None:
    with Client(painter.url) as client:
        job = client.text_to_image("a red apple", seed=3, steps=30)
        names = [event.name for event in job.events()]
        assert "preview" in names
        assert names[-1] == "completed"
        (output,) = job.outputs
        assert (job.type, output.data["width"], output.notes) == ("text-to-image", 32, [])
        assert next(iter(client.jobs(type="text-to-image"))).id == job.id
        noted = client.text_to_image("a red zyzzyva", seed=3).wait()
        assert noted.outputs[0].notes == ["not understood: zyzzyva"]


def test_a_picture_is_repainted_under_a_mask(painter: Stack, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "given.png")
    page = Image.new("L", (64, 64), 0)
    page.paste(255, (32, 0, 64, 64))
    page.save(tmp_path / "mask.png")
    Image.new("L", (60, 64), 255).save(tmp_path / "small.png")
    said = atelier(
        *("generate", "text-to-image", "dog", "--seed", "2", "--strength", "1"),
        *("--init-image", tmp_path / "given.png", "--mask", tmp_path / "mask.png"),
        *("--out", tmp_path),
        ATELIER_URL=painter.url,
    )
    assert said.status == 0, said
    repainted = Image.open(said.out.strip())
    assert repainted.getpixel((4, 16)) == (0, 0, 255)
    assert repainted.getpixel((28, 16)) != (0, 0, 255)
    wrong = atelier(
        *("generate", "text-to-image", "dog", "--init-image", tmp_path / "given.png"),
        *("--mask", tmp_path / "small.png"),
        ATELIER_URL=painter.url,
    )
    assert "mask must be as large as init_image, 64 by 64, and is 60 by 64" in refused(wrong)


@pytest.mark.parametrize("more", [[], ["--format"], ["--grid", "-n", "3"], ["--walk"]])
def test_a_file_is_made_again_from_what_it_says(
    painter: Stack, tmp_path: Path, more: list[str]
) -> None:
    arguments = {
        "--format": ["--output-format", "jpeg"],
        "--walk": ["--param", 'interpolate={"to_seed": 5, "frames": 3}'],
    }
    chosen = [argument for name in more for argument in arguments.get(name, [name])]
    asked = ["generate", "text-to-image", "a red zyzzyva apple", "--seed", "2", "--steps", "3"]
    said = atelier(*asked, *chosen, "--out", tmp_path, ATELIER_URL=painter.url)
    assert said.status == 0, said
    assert said.err == "atelier: not understood: zyzzyva\n"
    for path in said.out.split():
        again = atelier("regenerate", path, ATELIER_URL=painter.url)
        assert (again.status, again.out) == (0, "the same bytes\n"), again
    saved = atelier("regenerate", path, "--out", tmp_path / "again", ATELIER_URL=painter.url)
    assert saved.out.splitlines()[-1] == "the same bytes"
    assert Path(path).read_bytes() in [p.read_bytes() for p in (tmp_path / "again").iterdir()]


def test_other_bytes_are_told_apart(painter: Stack, tmp_path: Path) -> None:
    said = atelier(
        *("generate", "text-to-image", "dog", "--seed", "2", "--out", tmp_path),
        ATELIER_URL=painter.url,
    )
    path = Path(said.out.strip())
    path.write_bytes(path.read_bytes() + b"more")
    again = atelier("regenerate", path, ATELIER_URL=painter.url)
    assert "made other bytes" in refused(again)


def test_painting_takes_words_line_by_line(painter: Stack, tmp_path: Path) -> None:
    lines = "/seed 4\na red apple\n\n/style nonsense\ndog\n/style\n/steps 2\ndog\n/quit\nnever\n"
    done = subprocess.run(
        [sys.executable, "-m", "atelier", "paint", "--out", str(tmp_path)],
        input=lines,
        env=os.environ | {"ATELIER_URL": painter.url, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = [Path(line).name for line in done.stdout.splitlines()]
    assert names == [f"{PAINTER}-4.png", f"{PAINTER}-4-2.png"]
    assert "style" in done.stderr
    assert "Traceback" not in done.stderr
