import json
from pathlib import Path

import pytest
import torch

from models.checkpoint.header import read_header
from models.checkpoint.weights import load, save
from tests.models.families import tiny_checkpoint
from training.evaluation.evaluator import Record
from training.evaluation.figure_file import FigureFile, FiguresUnreadable, figure_files, records_of
from training.evaluation.report.report import with_files


def record(fed: float, **params: float) -> Record:
    return {"params": dict(params), "reference": "dots", "fed": {"mean": fed, "ci95": None}}


def test_a_record_replaces_that_of_the_same_params(tmp_path: Path) -> None:
    checkpoint = load(tiny_checkpoint(tmp_path, "gan"))
    path = tmp_path / "figures" / "tiny-gan.json"
    for one in (record(1), record(2, truncation=0.5), record(3)):
        FigureFile.for_checkpoint("tiny-gan", checkpoint, path).with_record(one).write(path)
    (file,) = figure_files(path.parent)
    assert file.evaluated == [record(2, truncation=0.5), record(3)]
    assert (file.checkpoint, file.family) == ("tiny-gan", "gan")
    assert [p.name for p in path.parent.iterdir()] == ["tiny-gan.json"]


def test_a_file_adds_to_the_records_of_a_card(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "gan")
    checkpoint = load(path)
    quality = {"evaluated": [record(1), record(2, truncation=1)], "test_bits": 3}
    save(path, checkpoint.header.model_copy(update={"quality": quality}), checkpoint.tensors)
    file = FigureFile.for_checkpoint("tiny-gan", load(path), tmp_path / "none.json")
    cards = {"tiny-gan": read_header(path)}
    card = with_files(cards, [file.with_record(record(9))], tmp_path)["tiny-gan"]
    assert records_of(card) == [record(2, truncation=1), record(9)]
    assert card.quality["test_bits"] == 3


def test_figures_of_earlier_weights_are_left_out(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "gan")
    checkpoint, out = load(path), tmp_path / "figures.json"
    file = FigureFile.for_checkpoint("tiny-gan", checkpoint, out).with_record(record(1))
    file.write(out)
    save(path, checkpoint.header, {k: t + torch.ones(1) for k, t in checkpoint.tensors.items()})
    card = with_files({"tiny-gan": read_header(path)}, [file], tmp_path)["tiny-gan"]
    assert records_of(card) == []
    assert card.limitations.endswith("The figures in its file are of earlier weights.")
    assert FigureFile.for_checkpoint("tiny-gan", load(path), out).evaluated == []


def test_a_file_of_another_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    checkpoint, out = load(tiny_checkpoint(tmp_path, "gan")), tmp_path / "figures.json"
    FigureFile.for_checkpoint("other", checkpoint, out).write(out)
    with pytest.raises(FiguresUnreadable, match=r"figures.json has the figures of other"):
        FigureFile.for_checkpoint("tiny-gan", checkpoint, out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "it: Input should be an object"),
        ("{", "it: Invalid JSON"),
        (json.dumps({"checkpoint": "a", "family": "gan"}), "weights: Field required"),
        (
            json.dumps({"checkpoint": "a", "family": "gan", "weights": "f" * 64, "fed": 3}),
            "fed: Extra inputs",
        ),
    ],
)
def test_what_is_no_figure_file_is_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text(text)
    with pytest.raises(FiguresUnreadable, match=f"figures.json is no file of figures: {message}"):
        figure_files(tmp_path)
