import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.families import tiny_checkpoint
from training.evaluation.evaluate import evaluate
from training.evaluation.evaluator import EvalOptions, EvaluationRefused, FeatureNets
from training.evaluation.report.tables import comparisons
from training.evaluation.stills import NAMES, STILLS, clip_figures
from training.metrics.image.features import Described

CPU = torch.device("cpu")


class NoFeatures:
    """First frames are compared without a net."""

    name = "none"

    def __call__(self, pictures: Tensor) -> Described:
        raise NotImplementedError


NETS = FeatureNets(NoFeatures())


@pytest.fixture(autouse=True)
def grey(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every emoji is a grey picture of the size that the tiny models have."""
    monkeypatch.setattr(
        "training.evaluation.stills.pictures_named",
        lambda names: torch.full((len(names), 3, 32, 32), 128, dtype=torch.uint8),
    )


def test_the_first_frame_is_compared_with_the_picture() -> None:
    stills = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    clips = stills[:, None].repeat(1, 5, 1, 1, 1)
    assert clip_figures(clips, stills) == {"seam": 1.0, "motion": 0.0, "first_frame": 0.0}
    clips[0, 0] += 30
    clips[1, 0, :, :2] -= 40  # half of the values
    assert clip_figures(clips, stills)["first_frame"] == pytest.approx((30 + 40 / math.sqrt(2)) / 2)
    assert "first_frame" not in clip_figures(clips, None)


@pytest.mark.parametrize("family", ["video_diffusion", "video_gan"])
def test_pictures_are_set_in_motion(tmp_path: Path, family: str) -> None:
    path = tiny_checkpoint(tmp_path, family)
    params: dict[str, Any] = {"steps": 1, "frames": 8} if family == "video_diffusion" else {}
    record: Any = evaluate(path, EvalOptions(params, n=2, seeds=1, reference=STILLS), NETS, CPU)
    assert ("first_frame" in record) == (family == "video_diffusion")
    assert record["real"]["first_frame"]["mean"] == 0
    assert record["noise"]["first_frame"]["mean"] > 50
    assert "2 pictures set in motion for each of 1 seeds." in comparisons([("tiny", record)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EvalOptions({"prompt": "dog"}, reference=STILLS), "prompt is that of each picture"),
        (EvalOptions(n=9, reference=STILLS), f"1 to {len(NAMES)} pictures are set in motion"),
        (EvalOptions(reference="emoji"), "or with --reference pictures"),
    ],
)
def test_what_no_picture_can_be_asked_is_refused(
    options: EvalOptions, message: str, tmp_path: Path
) -> None:
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(tiny_checkpoint(tmp_path, "video_gan"), options, NETS, CPU)
