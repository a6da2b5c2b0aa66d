"""Answers keep their schemas, and their bits: whatever else is written beside them."""

import json
from typing import Any

import jsonschema
import pytest
import torch

from models.artifacts import Text
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.engine import Engine, Failed, Finished
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.language.language import Language
from models.params.base import UnsupportedRequest
from models.params.text import LanguageParams
from tests.models.families import tiny_checkpoint
from tests.models.language.grammars.random_schemas import random_schema

CPU = torch.device("cpu")
SCHEMAS = 200
WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Ulm", "Bonn"]}, "days": {"type": "integer"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Language:
    path = tiny_checkpoint(tmp_path_factory.mktemp("grammars"), "language")
    return Language(load(path), Placement(CPU))


def completion(schema: dict[str, Any], **more: Any) -> LanguageParams:
    values = {"kind": "completion", "text": "the ant", "json_schema": schema, "max_tokens": 300}
    return LanguageParams.model_validate({**values, **more})


def chat(**more: Any) -> LanguageParams:
    turns = [{"role": "user", "content": "the tent"}]
    return LanguageParams.model_validate({"kind": "chat", "messages": turns, **more})


def text_of(family: Language, params: LanguageParams, seed: int = 1) -> Text:
    (text,) = run_alone(family.generate(params, seeded(seed)), CPU)
    assert isinstance(text, Text)
    return text


def written_together(family: Language, requests: dict[int, LanguageParams]) -> dict[int, Text]:
    """The texts of many requests, as many at a time as there are slots."""
    engine, waiting, texts = Engine(CPU), list(requests), dict[int, Text]()
    while waiting or len(engine):
        while waiting and len(engine) < min(family.max_items, 24):
            seed = waiting.pop()
            engine.add(seed, family.generate(requests[seed], seeded(seed)))
        for event in engine.tick():
            assert not isinstance(event, Failed), event
            if isinstance(event, Finished):
                (text,) = event.artifacts
                assert isinstance(text, Text)
                texts[int(str(event.id))] = text
    return texts


@pytest.mark.slow
def test_every_answer_that_ends_is_valid(family: Language) -> None:
    requests = {seed: completion(random_schema(seed)) for seed in range(SCHEMAS)}
    texts = written_together(family, requests)
    ended = {seed: text for seed, text in texts.items() if text.finish == "stop"}
    assert len(texts) == SCHEMAS
    assert len(ended) > SCHEMAS * 0.8, "most are short enough for the limit"
    for seed, text in ended.items():
        schema = requests[seed].json_schema
        assert schema is not None
        jsonschema.validate(json.loads(text.text), schema, jsonschema.Draft202012Validator)
    for seed in sorted(texts)[:5]:
        assert text_of(family, requests[seed], seed).text == texts[seed].text, "alone"


def test_an_answer_ends_when_it_is_complete(family: Language) -> None:
    text = text_of(family, completion({"const": {"a": [1, None]}}, temperature=2.0))
    assert (text.text, text.finish) == ('{"a": [1, null]}', "stop")
    short = text_of(family, completion({"const": {"a": [1, None]}}, max_tokens=3))
    assert (len(short.text), short.finish) == (3, "length")


def test_any_object_may_be_asked_for(family: Language) -> None:
    texts = written_together(
        family, {seed: completion({"type": "object"}, max_tokens=60) for seed in range(20)}
    )
    assert all(text.text.startswith("{") for text in texts.values())
    whole = [json.loads(text.text) for text in texts.values() if text.finish == "stop"]
    assert all(isinstance(value, dict) for value in whole)


def test_a_required_call_is_valid(family: Language) -> None:
    requests = {
        seed: chat(tools=[WEATHER, {"name": "now"}], tool_choice="required", max_tokens=200)
        for seed in range(10)
    }
    for text in written_together(family, requests).values():
        calls = text.text.split("\n")[1::3]
        assert text.text.startswith("<tool_call>\n{")
        for call in calls if text.finish == "stop" else calls[:-1]:
            parsed = json.loads(call)
            if parsed["name"] == "weather":
                jsonschema.validate(parsed["arguments"], WEATHER["parameters"])
            else:
                assert parsed == {"name": "now", "arguments": {}}


def test_a_named_tool_alone_is_called_once(family: Language) -> None:
    named = chat(tools=[WEATHER, {"name": "now"}], tool_choice="now", parallel_tool_calls=False)
    assert text_of(family, named).text == (
        '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    )


def test_a_bias_and_penalties_move_what_the_schema_allows_and_no_more(family: Language) -> None:
    schema = {"enum": ["hen", "ant"]}
    first = {text_of(family, completion(schema), seed).text for seed in range(8)}
    assert first == {'"hen"', '"ant"'}
    tokenizer = family.runtime.tokenizer
    tokens = {str(token): 100.0 for word in ("a", "an") for token in tokenizer.of_text(word)}
    biased = completion(schema, logit_bias=tokens, frequency_penalty=2.0, presence_penalty=-2.0)
    assert {text_of(family, biased, seed).text for seed in range(8)} == {'"ant"'}


def test_tools_may_be_left_alone(family: Language) -> None:
    free = text_of(family, chat(tools=[WEATHER], max_tokens=30))
    assert not free.text.startswith("<tool_call>")
    refused = text_of(family, chat(tools=[WEATHER], tool_choice="none", max_tokens=30))
    assert refused.read < free.read, "tools that can't be called are not told of"


def test_a_grammar_that_cannot_be_followed_is_refused_by_its_field(family: Language) -> None:
    huge = {"type": "integer", "multipleOf": 982_451, "minimum": 7}
    params = completion({"type": "object"}).model_copy(
        update={"json_schema": huge | {"maximum": 3}}
    )
    with pytest.raises(UnsupportedRequest, match="can't be kept by this model") as refused:
        text_of(family, params)
    assert refused.value.param == "json_schema"
    assert family.slots.free == family.max_items
