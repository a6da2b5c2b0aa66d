"""Clips measured beside their floors, and shown beside what they were learnt from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint.header import read_header
from models.checkpoint.weights import load
from tests.models.families import tiny_checkpoint
from tests.training import clips as made_up
from tests.training.evaluation.test_evaluate import NETS
from training.data.video.clips import Clips
from training.evaluation.evaluate import evaluate
from training.evaluation.evaluator import EvalOptions, EvaluationRefused
from training.evaluation.report.report import write_report
from training.evaluation.report.video_sheet import rows_of
from training.evaluation.video import ClipComparison

CPU = torch.device("cpu")
WORDS = ("apple", "dog", "rocket", "red apple", "green apple", "a dog", "red dog", "red rocket")


@pytest.fixture(autouse=True)
def known_clips(monkeypatch: pytest.MonkeyPatch) -> Clips:
    """Each twice, with another skin tone the second time."""
    count = 40
    names = [WORDS[i % 8] + (" in" if i >= 8 else "") * (i // 8) for i in range(count // 2)]
    column = np.array([f"{name}{tone}" for name in names for tone in ("", ": dark")])
    plain = np.array([name for name in names for _ in (0, 1)])
    tone = np.array(["", "dark"] * (count // 2))
    nothing = np.array([""] * count)
    frames = made_up.clips(count).numpy()
    all_clips = Clips(frames, column, plain, column, nothing, nothing, tone)
    assert 4 <= all_clips.held_out.sum() <= 20
    for module in ("video", "report.video_sheet"):
        monkeypatch.setattr(f"training.evaluation.{module}.load_clips", lambda: all_clips)
    return all_clips


@pytest.mark.slow
@pytest.mark.parametrize("family", ["video_gan", "video_diffusion"])
def test_a_checkpoint_is_measured_beside_its_floors(tmp_path: Path, family: str) -> None:
    path = tiny_checkpoint(tmp_path, family)
    params: dict[str, object] = {"steps": 1, "frames": 8} if family == "video_diffusion" else {}
    record = evaluate(path, EvalOptions(params, n=4, seeds=2), NETS, CPU)  # type: ignore[arg-type]
    assert read_header(path).quality["evaluated"] == [record]
    assert (record["n"], record["seeds"], record["reference"]) == (2, 2, "moving emoji")
    for side in (record, record["real"], record["noise"]):
        assert isinstance(side, dict)
        assert {"fed", "motion", "motion_spread", "jerkiness", "seam", "nearest"} <= side.keys()
    assert {"unseen_fed", "unseen_motion", "unseen_seam", "unseen_nearest"} <= record.keys()
    assert record["variety"]["mean"] > 0  # type: ignore[index, call-overload, operator]
    noise, known = (record[side]["motion"]["mean"] for side in ("noise", "real"))  # type: ignore[index, call-overload]
    assert noise > known > 0  # type: ignore[operator]


def test_held_out_clips_are_not_among_those_that_are_near(known_clips: Clips) -> None:
    comparison = ClipComparison.over(known_clips, NETS, Path("nowhere"))
    assert len(comparison.train.clips) + len(comparison.test.clips) == 40
    assert not set(comparison.train.plain) & set(comparison.test.plain)
    assert comparison.real(4, 0)["nearest"] >= 0


REFUSED = [
    (EvalOptions(n=3), "an even number"),
    (EvalOptions(n=2), "at least 4"),
    (EvalOptions(n=400), "names are asked for"),
    (EvalOptions(reference="emoji"), "--reference pictures"),
    (EvalOptions({"steps": 0}, n=4), "steps"),
    (EvalOptions({"style": "round", "cubes": 1}, n=4), "cubes"),
]


@pytest.mark.parametrize(("order", "message"), REFUSED)
def test_what_can_not_be_measured_is_told(tmp_path: Path, order: EvalOptions, message: str) -> None:
    path = tiny_checkpoint(tmp_path, "video_diffusion")
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(path, order, NETS, CPU)


def test_a_page_shows_clips_frame_by_frame_and_beside_known_ones(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "video_gan")
    evaluate(path, EvalOptions(n=4, seeds=1), NETS, CPU)
    page = write_report(tmp_path, tmp_path / "docs").read_text()
    assert "## Against moving emoji" in page
    assert "*training clips*" in page
    for name in ("tiny-video_gan", "tiny-video_gan-nearest"):
        assert f"(quality/{name}.png)" in page
        assert (tmp_path / f"docs/quality/{name}.png").stat().st_size > 0
    assert load(path).header.quality["evaluated"]


def test_rows_are_frames_in_their_order() -> None:
    clips = torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8)
    clips[1, 2, 0] = 200
    page = rows_of(["first", "紫色的苹果"], clips).convert("RGB")
    assert page.size == (150 + 3 * 10, 2 * 10)
    assert page.getpixel((150 + 2 * 10 + 4, 14)) == (200, 0, 0)
    assert page.getpixel((150 + 4, 14)) == (0, 0, 0)
