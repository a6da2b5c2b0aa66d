"""The family `language`: held to transformers' generate, and its slots given back whatever befalls.

What every family promises is tested by the contract suite.
"""

import random
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
)

from models.artifacts import Text
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.engine import Advanced, Engine, Failed, Finished
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.language.backends import selection
from models.language.backends.llama import LlamaNet
from models.language.backends.transformers_backend import CausalNet
from models.language.language import Language, title_of
from models.language.tokenizer import TENSOR, tensor_of
from models.params.base import UnsupportedRequest
from models.params.text import LanguageParams
from tests.models.families import tiny_checkpoint
from tests.models.tiny_language import LLAMA, PARAMS, TEMPLATE, tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("language"), "language")


NETS = {"the kernel": LlamaNet, "transformers": CausalNet}


@pytest.fixture(scope="module", params=NETS)
def family(path: Path, request: pytest.FixtureRequest) -> Language:
    """By either net that can be had on a processor."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "transformers":
            patch.setattr(selection, "find_spec", lambda name: None)
        text_of = Language(load(path), Placement(CPU))
    assert type(text_of.runtime.net) is NETS[request.param]
    return text_of


@pytest.fixture(scope="module")
def peer(path: Path) -> Any:
    config = dict(LLAMA)
    net = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(cast(str, config.pop("model_type")), **config)
    )
    net.load_state_dict(load(path).tensors, strict=False)
    return net.eval()


def asked(**params: object) -> LanguageParams:
    return LanguageParams.model_validate(params)


def text_of(family: Language, seed: int = 1, **params: object) -> Text:
    (text,) = run_alone(family.generate(asked(**params), seeded(seed)))
    assert isinstance(text, Text)
    return text


def generated(peer: Any, family: Language, text: str, count: int, **how: Any) -> str:
    """What transformers' generate writes, greedily."""
    ids = torch.tensor([family.runtime.tokenizer.of_text(text)])
    end = min(family.runtime.tokenizer.ends)
    out = peer.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        **how,
    )
    return family.runtime.tokenizer.text(out[0, ids.shape[1] :].tolist())


@pytest.mark.parametrize("text", ["the ant", "rain in the inner tent. " * 6])
@pytest.mark.parametrize("how", [{}, {"repetition_penalty": 1.4}])
def test_it_writes_what_transformers_writes(
    peer: Any, family: Language, text: str, how: dict[str, float]
) -> None:
    request = {"kind": "completion", "text": text, "max_tokens": 40, "temperature": 0.0, **how}
    assert text_of(family, **request).text == generated(peer, family, text, 40, **how)


class Penalties(LogitsProcessor):
    """OpenAI's formula, for transformers' generate: mu - c * frequency - (c > 0) * presence."""

    def __init__(
        self, begins: int, presence: float, frequency: float, bias: dict[str, float]
    ) -> None:
        self._begins, self._bias = begins, bias
        self._presence, self._frequency = presence, frequency

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        for token, count in Counter(input_ids[0, self._begins :].tolist()).items():
            scores[0, token] -= count * self._frequency + self._presence
        for name, bias in self._bias.items():
            scores[0, int(name)] += bias
        return scores


@pytest.mark.parametrize(
    "how",
    [
        {"presence_penalty": 0.7},
        {"frequency_penalty": 0.2},
        {"presence_penalty": -0.3, "frequency_penalty": 1.1},
        {"logit_bias": {"9": -100.0, "12": 0.8, "30": 9.5}},
        {"presence_penalty": 2.0, "frequency_penalty": 0.5, "logit_bias": {"12": 1.2}},
    ],
)
def test_penalties_are_those_of_transformers_with_openais_formula(
    peer: Any, family: Language, how: dict[str, Any]
) -> None:
    """They count what was written, and not the prompt."""
    text = "rain in the inner tent. "
    begins = len(family.runtime.tokenizer.of_text(text))
    presence, frequency = how.get("presence_penalty", 0.0), how.get("frequency_penalty", 0.0)
    processor = Penalties(begins, presence, frequency, how.get("logit_bias", {}))
    request = {"kind": "completion", "text": text, "max_tokens": 40, "temperature": 0.0}
    processors = LogitsProcessorList([processor])
    same = generated(peer, family, text, 40, logits_processor=processors)
    assert text_of(family, **request, **how).text == same
    assert same != generated(peer, family, text, 40)


def test_a_bias_for_a_token_that_is_not_there_is_refused(family: Language) -> None:
    request = {"kind": "completion", "text": "a hen", "max_tokens": 4}
    with pytest.raises(UnsupportedRequest, match="has token 99999; this model has tokens 0 to"):
        text_of(family, **request, logit_bias={"3": 1.0, "99999": 1.0})


def test_log_probabilities_of_a_prompt_are_those_of_the_whole_text(
    peer: Any, family: Language
) -> None:
    text = "a heron in the rain ate the eel then an ant. " * 2
    tokens = family.runtime.tokenizer.of_text(text)
    request = {"kind": "completion", "text": text, "max_tokens": 9, "logprobs": 3}
    scored = text_of(family, **request, prompt_logprobs=True)
    with torch.inference_mode():
        chances = torch.log_softmax(peer(torch.tensor([tokens])).logits[0].float(), 1)
    assert scored.prompt_drawn is not None
    assert "".join(x.chance.token for x in scored.prompt_drawn) == text
    first, *others = scored.prompt_drawn
    assert (first.chance.logprob, first.likeliest, first.offset) == (None, (), 0)
    for drawn, token, before in zip(others, tokens[1:], chances, strict=False):
        assert text[drawn.offset :].startswith(drawn.chance.token)
        assert drawn.chance.logprob == pytest.approx(float(before[token]), abs=1e-4)
        top = [x.logprob for x in drawn.likeliest]
        assert top == pytest.approx(before.topk(3).values.tolist(), abs=1e-4)
    plain = text_of(family, **request)
    assert plain.prompt_drawn is None
    if isinstance(family.runtime.net, LlamaNet):  # a token has the same bits however it was read
        assert (scored.text, scored.drawn) == (plain.text, plain.drawn)


def test_cached_logits_are_those_of_the_whole_text(peer: Any, family: Language) -> None:
    tokens = family.runtime.tokenizer.of_text("a heron in the rain ate the eel then an ant. " * 4)
    with torch.inference_mode(), family.slots.take() as slot:
        net, at = family.runtime.net, torch.tensor([slot.number])
        whole = peer(torch.tensor([tokens])).logits[0]
        begun = len(tokens) - len(tokens) % net.chunk - net.chunk
        for start in range(0, begun, net.chunk):
            chunk = torch.tensor([tokens[start : start + net.chunk]])
            net.prefill(chunk, torch.tensor([start]), at, net.bucket(start + net.chunk)[None])
        for position in range(begun, len(tokens)):
            row = (torch.tensor([tokens[position]]), torch.tensor([position]), at)
            (logits,) = net.logits(*row, net.bucket(position + 1)[None])
            assert torch.allclose(logits, whole[position], atol=1e-5)


@pytest.mark.slow
def test_a_hundred_requests_that_come_and_go_leave_every_slot_free(family: Language) -> None:
    chance, engine = random.Random(5), Engine(CPU)
    waiting, running, ends = list(range(100)), set[int](), dict[Any, object]()
    while waiting or len(engine):
        while waiting and len(engine) < family.max_items and chance.random() < 0.7:
            seed = waiting.pop()
            params = asked(**PARAMS[seed % len(PARAMS)])
            broken = seed % 10 == 3
            if broken:
                params = params.model_copy(update={"max_tokens": 10_000})
            running.add(seed)
            for event in engine.add(seed, family.generate(params, seeded(seed))):
                assert broken
                assert isinstance(event, Failed)
                assert isinstance(event.error, UnsupportedRequest)
                ends[seed] = event
        if running and chance.random() < 0.1:
            canceled = chance.choice(sorted(running))
            engine.cancel(canceled)
            ends.setdefault(canceled, None)
        for event in engine.tick():
            if not isinstance(event, Advanced):
                assert isinstance(event, Finished)
                ends[event.id] = event
        running -= ends.keys()
    assert len(ends) == 100
    assert family.slots.free == family.max_items


def test_a_slot_keeps_nothing_for_the_next(family: Language) -> None:
    before = text_of(family, **PARAMS[4])
    family.slots.forget()
    for cache in family.runtime.net.caches:
        cache.fill_(torch.nan)
    again = text_of(family, **PARAMS[4])
    assert (again.text, again.written) == (before.text, before.written)


def test_deltas_are_the_text_in_order(family: Language) -> None:
    engine = Engine(CPU)
    request = {"kind": "completion", "text": "eel", "max_tokens": 30, "temperature": 1.5}
    engine.add("x", family.generate(asked(**request), seeded(2)))
    pieces, steps, text = "", 0, ""
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Advanced):
                steps += 1
                pieces += event.delta or ""
            elif isinstance(event, Finished):
                (artifact,) = event.artifacts
                assert isinstance(artifact, Text)
                text = artifact.text
    assert steps == 31  # one chunk is read
    assert text.startswith(pieces)
    assert len(text) - len(pieces) < 10


def test_a_story_is_told_whole_before_its_title_is_found(family: Language) -> None:
    engine = Engine(CPU)
    engine.add("x", family.generate(asked(prompt="the hen", max_tokens=20), seeded(1)))
    pieces, silent = "", 0
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Advanced):
                silent = 0 if event.delta else silent + 1
                pieces += event.delta or ""
            elif isinstance(event, Finished):
                (text,) = event.artifacts
                assert isinstance(text, Text)
                assert pieces == text.text
    assert silent > 5, "the title itself is told to nobody"


def test_it_stops_before_a_stop_string_and_says_why(family: Language) -> None:
    request = {"kind": "completion", "text": "ant", "max_tokens": 40, "temperature": 0.0}
    whole = text_of(family, **request)
    assert (whole.finish, whole.written, whole.read) == ("length", 40, 2)
    parts = [whole.text[i : i + 3] for i in range(len(whole.text) - 2)]
    cut = next(piece for piece in parts if whole.text.index(piece) > 5)
    short = text_of(family, **request, stop=[cut], logprobs=0)
    assert (short.finish, short.stop_sequence) == ("stop", cut)
    assert short.text == whole.text[: whole.text.index(cut)]
    assert short.drawn
    assert all(drawn.offset < len(short.text) for drawn in short.drawn), (
        "what is not given is not told of"
    )


def test_nothing_but_the_likeliest_is_drawn_where_nothing_else_may_be(family: Language) -> None:
    request = {"kind": "completion", "text": "ant", "max_tokens": 20}
    likeliest = text_of(family, **request, temperature=0.0)
    assert text_of(family, **request, temperature=2.0, top_p=0).text == likeliest.text


@pytest.mark.parametrize("chat", [False, True])
def test_what_is_far_too_long_is_refused_before_it_is_read_whole(
    family: Language, monkeypatch: pytest.MonkeyPatch, chat: bool
) -> None:
    """To read a megabyte would take a second in which nothing else is written."""
    long, read = "an ant in the rain. " * 10_000, []
    plain = family.runtime.tokenizer._reader.plain
    monkeypatch.setattr(
        family.runtime.tokenizer._reader,
        "plain",
        lambda text, begins: read.append(len(text)) or plain(text, begins),
    )
    turns = [{"role": "user", "content": long}] * 3
    request = {"kind": "chat", "messages": turns} if chat else {"kind": "completion", "text": long}
    with pytest.raises(
        UnsupportedRequest, match="has more than 1000 tokens; this model's context has 1000"
    ):
        text_of(family, **request, max_tokens=4)
    assert sum(read) < len(long) / 10
    fits = {"kind": "completion", "text": "a" * 900, "max_tokens": 4}
    assert text_of(family, **fits).read == 900


def test_log_probabilities_are_told_of_every_token(family: Language) -> None:
    request = {"kind": "completion", "text": "ant", "max_tokens": 12, "temperature": 0.0}
    text = text_of(family, **request, logprobs=3)
    assert text.drawn is not None
    assert len(text.drawn) == text.written == 12
    for drawn in text.drawn:
        assert len(drawn.likeliest) == 3
        assert drawn.chance == drawn.likeliest[0]  # it takes the likeliest
        assert drawn.chance.logprob <= 0
    assert text_of(family, **request).drawn is None


def test_a_story_gets_a_title_that_is_part_of_no_text(family: Language) -> None:
    request = {"prompt": "the hen", "max_tokens": 20}
    untitled, titled = text_of(family, **request), text_of(family, **request, title="A Hen")
    assert titled.title == "A Hen"
    assert untitled.text == titled.text
    assert text_of(family, kind="completion", text="the hen", max_tokens=2).title is None


@pytest.mark.parametrize(
    ("said", "ended", "title"),
    [
        ("The Lamp", True, "The Lamp"),
        ("\n\n**Title:** The Lamp\nIt is short.", True, "The Lamp"),
        ('The title is: "The Lamp"', True, "The Lamp"),
        ("# The Lamp: a tale", False, "The Lamp"),
        ("The Lamp, or how one", False, "The Lamp"),
        ("The lamp that goes on and", False, None),
        ("The lamp that goes on\n", False, "The lamp that goes on"),
        ("Sure! Here's a title: The Lamp", True, "The Lamp"),
        ('Title:\n"The Lamp"', True, "The Lamp"),
        ("12:30 Train", True, "12:30 Train"),
        ("Title:", True, None),
        (" \n", True, None),
    ],
)
def test_titles_are_found_in_what_a_model_answers(said: str, ended: bool, title: str) -> None:
    assert title_of(said, ended) == title


def test_a_story_is_asked_for_where_there_is_no_place_for_the_system(path: Path) -> None:
    checkpoint = load(path)
    config: Any = checkpoint.header.net["words"]
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    net = {**checkpoint.header.net, "words": {**config, "chat_template": strict + TEMPLATE}}
    header = checkpoint.header.model_copy(update={"net": net})
    family = Language(type(checkpoint)(header, checkpoint.tensors, ""), Placement(CPU))
    assert text_of(family, prompt="the hen", max_tokens=4).written <= 4


def test_words_beyond_the_net_are_refused(path: Path) -> None:
    checkpoint, more = load(path), tokenizer()
    more.add_tokens([f"<x{number}>" for number in range(8)])
    template = "{{ messages[0].content }}<x7>"
    config: Any = checkpoint.header.net["words"]
    net = {**checkpoint.header.net, "words": {**config, "chat_template": template}}
    header = checkpoint.header.model_copy(update={"net": net})
    tensors = {**checkpoint.tensors, TENSOR: tensor_of(more.to_str())}
    family = Language(type(checkpoint)(header, tensors, ""), Placement(CPU))
    with pytest.raises(UnsupportedRequest, match="its net does not"):
        text_of(family, kind="chat", messages=[{"role": "user", "content": "x"}], max_tokens=3)


def test_without_a_limit_it_may_fill_the_context(family: Language) -> None:
    text = text_of(family, kind="completion", text="x" * 980, max_tokens=None)
    assert text.written <= 20
    assert (text.finish == "length") == (text.written == 20)
    with pytest.raises(UnsupportedRequest, match="which leave no room"):
        text_of(family, kind="completion", text="x" * 1000, max_tokens=None)


def test_next_to_no_temperature_takes_the_likeliest(family: Language) -> None:
    request = {"kind": "completion", "text": "ant", "max_tokens": 12}
    coldest = text_of(family, **request, temperature=0)
    assert text_of(family, **request, temperature=1e-40).text == coldest.text


def test_what_is_beyond_the_context_is_refused_with_the_numbers(family: Language) -> None:
    with pytest.raises(
        UnsupportedRequest, match=r"text has 841 tokens, .* 1041; .* context has 1000"
    ) as refused:
        text_of(family, kind="completion", text="x" * 841, max_tokens=200)
    assert (refused.value.param, refused.value.code) == ("text", "context_length_exceeded")
    assert text_of(family, kind="completion", text="x" * 990, max_tokens=10).written == 10


def test_a_net_that_keeps_other_things_is_refused(path: Path) -> None:
    checkpoint = load(path)
    net = {**checkpoint.header.net, "config": {"model_type": "mamba", "vocab_size": 272}}
    header = checkpoint.header.model_copy(update={"net": net})
    with pytest.raises(CheckpointError, match=r"tensor|keys and values"):
        Language(type(checkpoint)(header, checkpoint.tensors, ""), Placement(CPU))
