"""Samples of models: what each modality's is, and that it repeats."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageColor
from PIL.WebPImagePlugin import WebPImageFile

from models.score import Note, Score
from tests.atelier.commands import atelier
from tests.models.families import tiny_checkpoint
from training.evaluation.evaluator import EvaluationRefused
from training.evaluation.report.model_samples import (
    INK,
    PAPER,
    ROLL_SECONDS,
    piano_roll,
    write_samples,
)


def test_each_kind_of_model_has_a_sample_that_repeats(tmp_path: Path) -> None:
    for family in ("vae", "video_gan", "embedding"):
        tiny_checkpoint(tmp_path, family)
    out = tmp_path / "samples"
    files = {path.name: path.read_bytes() for path in write_samples([tmp_path], out)}
    assert files.keys() == {"tiny-vae.webp", "tiny-video_gan.webp"}
    sheet = Image.open(io.BytesIO(files["tiny-vae.webp"]))
    assert (sheet.size[0], sheet.size[0] % 4, sheet.size[1]) == (sheet.size[1], 0, sheet.size[0])
    assert 128 < sheet.size[0] <= 256  # it is enlarged
    clips = Image.open(io.BytesIO(files["tiny-video_gan.webp"]))
    assert isinstance(clips, WebPImageFile)
    assert (clips.n_frames, clips.size) == (8, (64, 64))
    again = atelier("samples", "tiny-vae", "--checkpoints", tmp_path, "--out", tmp_path / "new")
    assert again.out.split() == [str(tmp_path / "new" / "tiny-vae.webp")]
    assert (tmp_path / "new" / "tiny-vae.webp").read_bytes() == files["tiny-vae.webp"]


def test_a_sample_of_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefused, match="there is no checkpoint nope"):
        list(write_samples([tmp_path], tmp_path / "samples", ["nope"]))


def test_a_roll_begins_with_the_first_note(tmp_path: Path) -> None:
    half = ROLL_SECONDS / 2
    roll = piano_roll(Score((Note(3.0, 3.0 + half, 72), Note(3.0 + half, 3.0 + 2 * half, 60))))
    paper, ink = ImageColor.getrgb(PAPER), ImageColor.getrgb(INK)
    wide, high = roll.size
    low = high * 12 // 13 + 1
    corners = [roll.getpixel((x, y)) for y in (1, low) for x in (1, wide // 2 + 1)]
    assert corners == [ink, paper, paper, ink]
    assert piano_roll(Score(())).getcolors() == [(wide * high, paper)]
