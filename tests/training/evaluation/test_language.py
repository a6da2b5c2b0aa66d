from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from pydantic import JsonValue
from torch import Tensor

from models.artifacts import Chance, Drawn, Text
from models.checkpoint.header import read_header
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.language.language import Language
from tests.models.families import tiny_checkpoint
from training.evaluation.evaluate import evaluate
from training.evaluation.evaluator import EvalOptions, EvaluationRefused, FeatureNets
from training.evaluation.language import poem_figures, text_requests
from training.evaluation.report.report import write_report
from training.evaluation.text_prompts import HELD_OUT, POEMS
from training.metrics.image.features import Described

CPU = torch.device("cpu")


class NoFeatures:
    """Texts have no pictures to look at."""

    name = "none"

    def __call__(self, pictures: Tensor) -> Described:
        raise NotImplementedError


NETS = FeatureNets(NoFeatures())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "checkpoints", "language")


def test_texts_are_measured_into_a_file_that_the_page_shows(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluation.language.HELD_OUT", HELD_OUT[:100])
    monkeypatch.setattr("training.evaluation.language.STORY_TOKENS", 20)
    file = tmp_path / "docs/quality/tiny-language.json"
    before = path.read_bytes()
    record = evaluate(path, EvalOptions(n=1, seeds=1), NETS, CPU, file)
    assert path.read_bytes() == before
    assert record["form_kept"] == {"mean": 1.0, "ci95": None}
    assert record["held_out_perplexity"]["mean"] > 1  # type: ignore[index, call-overload, operator]
    assert {"alone_form_kept", "own_perplexity", "story_repeated_trigrams"} <= record.keys()
    path.unlink()  # a package carries it
    text = write_report(path.parent, tmp_path / "docs").read_text()
    assert "1 poems in a form, as many without it (alone), and 1 stories" in text
    assert "| [tiny-language](#tiny-language) | defaults | 1.000 |" in text
    assert "[Samples](samples.md)" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EvalOptions(n=21), "1 to 20 poems are measured, not 21"),
        (EvalOptions(reference="emoji"), "no --reference"),
        (EvalOptions({"form": "haiku"}), "form: texts differ in it"),
        (EvalOptions({"temperature": -1}), "temperature: "),
    ],
)
def test_what_cannot_be_asked_of_every_text_is_refused(
    path: Path, options: EvalOptions, message: str
) -> None:
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(path, options, NETS, CPU)
    assert "evaluated" not in read_header(path).quality


def test_a_poem_alone_has_the_same_words_and_no_form(path: Path) -> None:
    checkpoint = load(path)
    params: Mapping[str, JsonValue] = {"temperature": 0.3}
    model = Language(checkpoint, Placement(CPU))
    requests = text_requests(checkpoint.header, model, params, 3)
    assert [(p.prompt, p.form) for p in requests.poems] == [
        (prompt, form["form"]) for prompt, form in POEMS[:3]
    ]
    assert {p.form for p in requests.alone} == {None}
    for poem, alone in zip(requests.poems, requests.alone, strict=True):
        assert alone.messages is not None
        assert str(poem.prompt) in alone.messages[-1].content
    assert {p.temperature for p in (*requests.poems, *requests.stories)} == {0.3}


def test_a_form_that_half_of_the_poems_keep() -> None:
    drawn = (Drawn(Chance("a", 0.0, b"a"), ()),)
    poems = [
        Text(text, 1, 1, "stop", None, drawn)
        for text in ("the moon is white\nit shines at night", "the moon\nthe sun")
    ]
    figures = poem_figures(poems, [{"form": "couplet"}, {"form": "couplet"}])
    assert figures == {"form_kept": 0.5, "own_perplexity": 1.0, "repeated_trigrams": 0.0}


def test_the_story_to_read_is_some_pages_of_prose() -> None:
    assert 400 < len(HELD_OUT.split()) < 600
