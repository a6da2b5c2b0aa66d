"""OpenAI's responses over a real worker: created, streamed, looked at, gone on from, deleted."""

import json
from typing import Any, cast

import openai
import pytest

from tests.app.serving import Running
from tests.app.studio import WRITER
from tests.app.test_generate import error_of

CITY: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"enum": ["Ulm", "Bonn"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [{"type": "function", "name": "weather", "parameters": CITY, "strict": True}]
ASKED: dict[str, Any] = {
    "model": WRITER,
    "input": "the hen",
    "max_output_tokens": 60,
    "extra_body": {"seed": 3},
}
SHORT = {**ASKED, "max_output_tokens": 12}
CALLING = {
    **ASKED,
    "max_output_tokens": 200,
    "tools": TOOLS,
    "tool_choice": "required",
    "parallel_tool_calls": False,
}


def test_a_response_is_the_answer_of_a_chat(stock: openai.OpenAI) -> None:
    response = stock.responses.create(**SHORT, instructions="Be kind.", metadata={"a": "b"})
    chat = stock.chat.completions.create(
        model=WRITER,
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "the hen"},
        ],
        max_tokens=12,
        seed=3,
    )
    assert response.output_text == chat.choices[0].message.content
    assert response.id.startswith("resp_")
    assert response.instructions == "Be kind."
    assert response.metadata == {"a": "b"}
    assert response.usage is not None
    assert chat.usage is not None
    assert response.usage.input_tokens == chat.usage.prompt_tokens
    assert response.usage.output_tokens == chat.usage.completion_tokens
    cut = chat.choices[0].finish_reason == "length"
    assert response.status == ("incomplete" if cut else "completed")
    again = stock.responses.retrieve(response.id)
    assert again.output == response.output
    assert (again.instructions, again.status) == ("Be kind.", response.status)


def test_items_of_every_kind_are_read(stock: openai.OpenAI) -> None:
    items: list[Any] = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"type": "message", "role": "user", "content": "rain?"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "yes"},
    ]
    response = stock.responses.create(**{**SHORT, "input": items})
    listed = stock.responses.input_items.list(response.id).data
    assert [item.type for item in listed] == [
        "message",
        "message",
        "message",
        "function_call",
        "function_call_output",
    ]
    assert cast(Any, listed[1]).content[0].text == "rain?"
    job_id = cast(Any, response).job_id
    assert job_id.startswith("job_")


def test_it_goes_on_from_an_earlier_response(stock: openai.OpenAI, writing: Running) -> None:
    first = stock.responses.create(**SHORT, instructions="Be kind.")
    second = stock.responses.create(
        **SHORT, previous_response_id=first.id, instructions="Be brief."
    )
    assert second.previous_response_id == first.id
    job = writing.client.get(f"/jobs/{cast(Any, second).job_id}").json()
    assert job["input"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "the hen"},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "the hen"},
    ]


def test_a_call_is_answered_by_its_result(stock: openai.OpenAI, writing: Running) -> None:
    first = stock.responses.create(**CALLING)
    (call,) = first.output
    assert call.type == "function_call"
    assert (first.status, call.name, call.status) == ("completed", "weather", "completed")
    assert json.loads(call.arguments)["city"] in ("Ulm", "Bonn")
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    by_id = stock.responses.create(**{**SHORT, "input": [result]}, previous_response_id=first.id)
    reference: Any = {"type": "item_reference", "id": call.id}
    items = [{"role": "user", "content": "the hen"}, reference, result]
    by_reference = stock.responses.create(**{**SHORT, "input": cast(Any, items)})
    inputs = [
        writing.client.get(f"/jobs/{cast(Any, x).job_id}").json()["input"]["messages"]
        for x in (by_id, by_reference)
    ]
    assert inputs[0] == inputs[1]
    assert inputs[0][1]["tool_calls"][0]["id"] == inputs[0][2]["tool_call_id"]
    assert by_id.output_text == by_reference.output_text


def test_an_answer_keeps_its_schema(stock: openai.OpenAI) -> None:
    form: Any = {"format": {"type": "json_schema", "name": "place", "schema": CITY}}
    response = stock.responses.create(**ASKED, text=form)
    assert json.loads(response.output_text)["city"] in ("Ulm", "Bonn")
    shown = cast(Any, stock.responses.retrieve(response.id).text)
    assert (shown.format.type, shown.format.name) == ("json_schema", "place")
    any_object = stock.responses.create(**SHORT, text={"format": {"type": "json_object"}})
    assert cast(Any, any_object.text).format.type == "json_object"


@pytest.mark.parametrize("asked", [SHORT, CALLING], ids=["text", "call"])
def test_a_stream_builds_the_same_response(stock: openai.OpenAI, asked: dict[str, Any]) -> None:
    whole = stock.responses.create(**asked)
    with stock.responses.create(**asked, stream=True) as running:
        events = list(running)
    assert [event.sequence_number for event in events] == [*range(len(events))]
    kinds = [event.type for event in events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-2:] == ["response.output_item.done", f"response.{whole.status}"]
    final = cast(Any, events[-1]).response
    assert [item.model_dump(exclude={"id", "call_id"}) for item in final.output] == [
        item.model_dump(exclude={"id", "call_id"}) for item in whole.output
    ]
    done = cast(Any, events[-2]).item
    assert done.model_dump() == final.output[-1].model_dump()
    name = "function_call_arguments" if asked is CALLING else "output_text"
    pieces = [cast(Any, e).delta for e in events if e.type == f"response.{name}.delta"]
    text = final.output[0].arguments if asked is CALLING else final.output_text
    assert "".join(pieces) == text
    if whole.status == "completed":
        with stock.responses.stream(**asked) as stream:
            assert stream.get_final_response().output_text == whole.output_text


def test_log_probabilities_are_told(stock: openai.OpenAI) -> None:
    response = stock.responses.create(
        **SHORT, include=["message.output_text.logprobs"], top_logprobs=2
    )
    (piece,) = cast(Any, response.output[0]).content
    assert response.usage is not None
    assert len(piece.logprobs) == response.usage.output_tokens
    assert {len(token.top_logprobs) for token in piece.logprobs} == {2}


def test_one_in_the_background_is_looked_at_until_it_ends(stock: openai.OpenAI) -> None:
    response = stock.responses.create(**SHORT, background=True)
    while response.status in ("queued", "in_progress"):
        response = stock.responses.retrieve(response.id)
    assert response.output_text
    assert stock.responses.cancel(response.id).status == response.status


def test_a_deleted_response_is_gone(stock: openai.OpenAI) -> None:
    response = stock.responses.create(**SHORT)
    stock.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        stock.responses.retrieve(response.id)


def test_what_is_not_stored_cannot_be_looked_at(stock: openai.OpenAI) -> None:
    response = stock.responses.create(**SHORT, store=False)
    assert response.store is False  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError):
        stock.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError) as refused:
        stock.responses.create(**SHORT, previous_response_id=response.id)
    assert (refused.value.code, refused.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )


def test_a_job_of_another_kind_is_no_response(stock: openai.OpenAI) -> None:
    completion = stock.completions.create(model=WRITER, prompt="the ant", max_tokens=3)
    with pytest.raises(openai.NotFoundError):
        stock.responses.retrieve(f"resp_{completion.id.removeprefix('cmpl-')}")


def test_the_same_key_gets_the_same_response(stock: openai.OpenAI) -> None:
    headers = {"Idempotency-Key": "twice"}
    first, second = (stock.responses.create(**SHORT, extra_headers=headers) for _ in range(2))
    assert first.id == second.id


@pytest.mark.parametrize(
    ("fields", "status", "param", "message"),
    [
        ({"input": None}, 422, "input", "string"),
        ({"input": []}, 422, "input", "at least 1"),
        ({"input": [{"role": "user"}]}, 422, "input.0.content", "required"),
        ({"input": [{"type": "reasoning", "id": "x"}]}, 422, "input.0.type", "'message'"),
        (
            {"input": [{"type": "item_reference", "id": "msg_0"}]},
            422,
            "input.0.id",
            "names no item",
        ),
        ({"previous_response_id": "resp_0"}, 400, "previous_response_id", "no response"),
        ({"text": {"format": {"type": "json_schema"}}}, 422, "text.format.schema", "required"),
        (
            {"text": {"format": {"type": "json_schema", "schema": {"not": {}}}}},
            422,
            "text.format.schema",
            "can't be enforced: not",
        ),
        ({"tools": [{"type": "web_search"}]}, 422, "tools.0.type", "'function'"),
        ({"tool_choice": "required"}, 422, "tool_choice", "needs tools"),
        ({"max_output_tokens": 100_000}, 422, "max_output_tokens", "between 1 and 999"),
        ({"max_tokens": 5}, 422, "max_tokens", "not a parameter here"),
        ({"background": True, "store": False}, 422, "background", "needs store"),
        ({"background": True, "stream": True}, 422, "background", "don't go together"),
        ({"metadata": {"openai.store": "x"}}, 400, "metadata", "begin with openai."),
        ({"metadata": [1]}, 422, "metadata", "object"),
        ({"conversation": "x"}, 422, "conversation", "not a parameter here"),
    ],
)
def test_what_is_refused_names_its_field(
    writing: Running, fields: dict[str, Any], status: int, param: str, message: str
) -> None:
    body = {"model": WRITER, "input": "the hen", "max_output_tokens": 5, **fields}
    answer = writing.client.post("/v1/responses", json=body)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (status, param)
    assert message in error["message"]


def test_one_that_is_too_long_is_refused_by_its_field(writing: Running) -> None:
    body = {"model": WRITER, "input": "the hen " * 400, "max_output_tokens": 5}
    for stream in (False, True):
        answer = writing.client.post("/v1/responses", json={**body, "stream": stream})
        error = error_of(answer)
        assert answer.status_code == 400
        assert (error["param"], error["code"]) == ("input", "context_length_exceeded")
