"""Schemas of answers and calls of tools, by OpenAI's own client over a real worker."""

import json
from typing import Any, cast

import openai
import pytest

from tests.app.serving import Running
from tests.app.studio import WRITER
from tests.app.test_generate import error_of

TURNS: list[Any] = [{"role": "user", "content": "hen"}]
CITY = {
    "type": "object",
    "properties": {"city": {"enum": ["Ulm", "Bonn"]}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
NOW: Any = {"type": "function", "function": {"name": "now", "strict": True}}
ASKED: dict[str, Any] = {"model": WRITER, "messages": TURNS, "max_tokens": 90, "seed": 3}
CALLING = {**ASKED, "tools": [WEATHER, NOW], "tool_choice": "required"}
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "location", "schema": CITY}}


def test_an_answer_keeps_its_schema(stock: openai.OpenAI) -> None:
    answer = stock.chat.completions.create(**ASKED, response_format=SCHEMA)
    (choice,) = answer.choices
    assert json.loads(choice.message.content or "")["city"] in ("Ulm", "Bonn")
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None


def test_an_answer_has_only_the_properties_that_its_schema_names(stock: openai.OpenAI) -> None:
    """Clients send their schemas without `additionalProperties`, and mean no others."""
    loose = {name: value for name, value in CITY.items() if name != "additionalProperties"}
    form: Any = {"type": "json_schema", "json_schema": {"name": "location", "schema": loose}}
    answer = stock.chat.completions.create(**ASKED, response_format=form)
    assert json.loads(answer.choices[0].message.content or "").keys() == {"city"}


def test_any_object_is_an_object(stock: openai.OpenAI) -> None:
    answer = stock.chat.completions.create(**ASKED, response_format={"type": "json_object"})
    assert (answer.choices[0].message.content or "").startswith("{")


def test_a_tool_is_called(stock: openai.OpenAI) -> None:
    answer = stock.chat.completions.create(
        **{**CALLING, "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        parallel_tool_calls=False,
    )
    (choice,) = answer.choices
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Ulm", "Bonn")
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert len(call.id) <= 40
    following = [
        *TURNS,
        choice.message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": "sun"},
    ]
    after = stock.chat.completions.create(**{**CALLING, "messages": following, "tool_choice": None})
    assert after.usage is not None
    assert answer.usage is not None
    assert after.usage.prompt_tokens > answer.usage.prompt_tokens


def test_a_choice_of_a_function_asks_for_one_call(stock: openai.OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "now"}}
    answer = stock.chat.completions.create(**{**CALLING, "tool_choice": choice, "n": 4})
    for one in answer.choices:
        assert len(one.message.tool_calls or ()) == 1
        assert one.finish_reason == "tool_calls"


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_streamed_calls_add_up_to_those_of_the_whole(stock: openai.OpenAI, seed: int) -> None:
    asked = {**CALLING, "seed": seed}
    (whole,) = stock.chat.completions.create(**asked).choices
    calls: list[dict[str, str]] = []
    finish = None
    for chunk in stock.chat.completions.create(**asked, stream=True):
        (choice,) = chunk.choices
        finish = choice.finish_reason or finish
        assert not choice.delta.content
        for delta in choice.delta.tool_calls or ():
            assert delta.function is not None
            if delta.id is not None:
                assert delta.index == len(calls)
                calls.append({"name": delta.function.name or "", "arguments": ""})
            calls[delta.index]["arguments"] += delta.function.arguments or ""
    expected = [cast(Any, call).function.model_dump() for call in whole.message.tool_calls or ()]
    assert calls == expected
    assert finish == whole.finish_reason
    with stock.chat.completions.stream(**{k: v for k, v in asked.items() if k != "stream"}) as own:
        final = own.get_final_completion()
    ours = [cast(Any, call).function for call in final.choices[0].message.tool_calls or ()]
    assert [(x.name, x.arguments) for x in ours] == [(x["name"], x["arguments"]) for x in expected]


def test_content_of_an_answer_that_may_call_is_streamed_whole(stock: openai.OpenAI) -> None:
    asked = {**CALLING, "tool_choice": "auto", "max_tokens": 20}
    (whole,) = stock.chat.completions.create(**asked).choices
    stream = stock.chat.completions.create(**asked, stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(pieces) == whole.message.content


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "required"),
        (
            {"response_format": {"type": "text", "json_schema": {"schema": {}}}},
            "response_format.json_schema",
            "needs the type json_schema",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "array", "uniqueItems": True}},
                }
            },
            "response_format.json_schema.schema",
            "can't be enforced: uniqueItems",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"not": {}}}}]},
            "tools.0.function.parameters",
            "can't be enforced: not",
        ),
        ({"tools": [{"type": "function"}]}, "tools.0.function", "required"),
        ({"tools": [NOW, NOW]}, "tools", "different names"),
        ({"tool_choice": "required"}, "tool_choice", "needs tools"),
        (
            {
                "tools": [NOW],
                "tool_choice": {"type": "function", "function": {"name": "weather"}},
            },
            "tool_choice",
            "nor one of the tools",
        ),
        ({"tools": [NOW], "tool_choice": "sometimes"}, "tool_choice", "'required'"),
        ({"tools": [NOW], "stop": "x"}, "stop", "stop and tools don't go together"),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{"}}],
                    }
                ]
            },
            "messages.0.tool_calls.0.function.arguments",
            "must be JSON",
        ),
        (
            {"messages": [{"role": "user", "content": "x", "tool_call_id": "x"}]},
            "messages.0.tool_call_id",
            "needs the role tool",
        ),
    ],
)
def test_what_is_refused_is_named_as_the_client_knows_it(
    writing: Running, fields: dict[str, Any], param: str, message: str
) -> None:
    answer = writing.client.post("/v1/chat/completions", json={**ASKED, **fields})
    assert answer.status_code == 422
    error = error_of(answer)
    assert error["param"] == param
    assert message in error["message"]


def test_an_empty_list_of_tools_asks_for_nothing(writing: Running) -> None:
    fields = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
    answer = writing.client.post("/v1/chat/completions", json={**ASKED, **fields})
    assert answer.status_code == 200
    assert "tool_calls" not in answer.json()["choices"][0]["message"]
