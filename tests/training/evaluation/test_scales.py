from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.checkpoint.header import read_header
from models.score import Score
from tests.models.families import tiny_checkpoint
from training.evaluation import scales
from training.evaluation.evaluate import evaluate
from training.evaluation.evaluator import EvalOptions, EvaluationRefused, FeatureNets
from training.evaluation.report.tables import comparisons
from training.evaluation.scales import LINES, MAJOR, SCALES, scale, scale_figures, tones
from training.metrics.image.features import Described

CPU = torch.device("cpu")


class NoFeatures:
    """Sound has no pictures to look at."""

    name = "none"

    def __call__(self, pictures: Tensor) -> Described:
        raise NotImplementedError


NETS = FeatureNets(NoFeatures())


def test_a_scale_goes_from_c4_to_c5_and_back() -> None:
    up, down = (scale(line) for line in LINES)
    assert [note.pitch for note in up.notes] == [60, 62, 64, 65, 67, 69, 71, 72]
    assert [note.pitch for note in down.notes] == [72, 71, 69, 67, 65, 64, 62, 60]
    assert up.seconds == len(MAJOR) / 2


def test_figures_are_of_all_and_of_a_style() -> None:
    score = scale(LINES[0])
    assert scale_figures("folk", tones(score, 16_000), 16_000, score) == {
        "notes_right": 1.0,
        "classes_right": 1.0,
        "notes_right_folk": 1.0,
    }


def test_a_player_is_measured_in_each_of_its_styles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scales, "LENGTH", 0.05)
    monkeypatch.setattr(scales, "LINES", ((0, 2, 4, 5, 7, 9, 11, 0),))  # it has C4 to B4
    path = tiny_checkpoint(tmp_path, "wavenet")
    record = evaluate(path, EvalOptions(n=1, seeds=1, reference=SCALES), NETS, CPU)
    labels = read_header(path).labels
    assert {f"notes_right_{style}" for style in labels} <= record.keys()
    assert {"real", "noise"} <= record.keys()
    text = comparisons([("tiny-wavenet", record)])
    assert "1 scales of 8 notes, C4 to C5, in each style for each of 1 seeds" in text
    assert "| *plain tones* |" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EvalOptions(n=3, reference=SCALES), "1 to 2 scales are measured, not 3"),
        (EvalOptions({"seconds": 2.0}, reference=SCALES), "seconds is that of each scale"),
        (EvalOptions({"unconditioned": True}, reference=SCALES), "it must play scores"),
        (EvalOptions(reference=SCALES), "it does not play the notes from C4 to C5"),
        (EvalOptions(reference="songs"), "players by scales"),
    ],
)
def test_what_no_scale_can_be_asked_is_refused(
    options: EvalOptions, message: str, tmp_path: Path
) -> None:
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(tiny_checkpoint(tmp_path, "wavenet"), options, NETS, CPU)


def test_a_composer_plays_no_scales(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "composer")
    with pytest.raises(EvaluationRefused, match="only a player of scores"):
        evaluate(path, EvalOptions(reference=SCALES), NETS, CPU)


def test_noise_is_no_melody() -> None:
    score: Score = scale(LINES[0])
    noise = 0.1 * torch.randn(64_000, generator=torch.Generator().manual_seed(0))
    assert scale_figures("", noise, 16_000, score)["notes_right"] < 0.3
