"""Anthropic's messages over a real worker: whole, streamed, with tools, and refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.settings import Settings
from tests.app.serving import Running, serving
from tests.app.studio import WRITER
from tests.models.families import tiny_checkpoint

URL = "/v1/messages"
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Ulm", "Bonn"]}},
    "required": ["city"],
}
TURNS: list[dict[str, Any]] = [{"role": "user", "content": "the hen"}]
ASKED: dict[str, Any] = {"model": WRITER, "messages": TURNS, "max_tokens": 12, "seed": 3}
CALLING = {
    **ASKED,
    "max_tokens": 200,
    "tools": [{"name": "weather", "input_schema": CITY, "type": "custom"}],
    "tool_choice": {"type": "tool", "name": "weather"},
}


def post(running: Running, **fields: Any) -> dict[str, Any]:
    answer = running.client.post(URL, json={**ASKED, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def asked_of(running: Running, message: dict[str, Any]) -> dict[str, Any]:
    """What the job of a message was asked."""
    return dict(running.client.get(f"/jobs/{message['job_id']}").json()["input"])


def events_of(running: Running, **fields: Any) -> list[dict[str, Any]]:
    """The events of a stream, each with the name that it is sent under."""
    body = running.client.post(URL, json={**ASKED, **fields, "stream": True}).text
    frames = [frame.splitlines() for frame in body.split("\n\n") if frame.startswith("event:")]
    events = [json.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [name.removeprefix("event: ") for name, _ in frames] == [e["type"] for e in events]
    return events


def test_a_message_is_the_answer_of_a_chat(writing: Running) -> None:
    message = post(writing, system="Be kind.", temperature=0.5, metadata={"user_id": "u"})
    chat = writing.client.post(
        "/v1/chat/completions",
        json={
            **ASKED,
            "temperature": 0.5,
            "messages": [{"role": "system", "content": "Be kind."}, *TURNS],
        },
    ).json()
    (choice,) = chat["choices"]
    assert message["content"] == [{"type": "text", "text": choice["message"]["content"]}]
    reasons = {"stop": "end_turn", "length": "max_tokens"}
    assert message["stop_reason"] == reasons[choice["finish_reason"]]
    assert message["usage"] == {
        "input_tokens": chat["usage"]["prompt_tokens"],
        "output_tokens": chat["usage"]["completion_tokens"],
    }
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", WRITER)
    job = writing.client.get(f"/jobs/{message['job_id']}").json()
    assert job["metadata"] == {"user_id": "u"}


def test_blocks_of_every_kind_are_read(writing: Running) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Ulm"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "is_error": False}
    cached = {"cache_control": {"type": "ephemeral"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "rain", **cached}]},
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, use]},
        {
            "role": "user",
            "content": [
                {**result, "content": [{"type": "text", "text": "sun"}]},
                {"type": "text", "text": "so?"},
            ],
        },
    ]
    message = post(writing, messages=messages, system=[{"type": "text", "text": "Be kind."}])
    call = {"id": "t1", "name": "weather", "arguments": '{"city": "Ulm"}'}
    assert asked_of(writing, message)["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "rain"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "content": "sun", "tool_call_id": "t1"},
        {"role": "user", "content": "so?"},
    ]


def test_a_tool_is_called(writing: Running) -> None:
    message = post(writing, **CALLING)
    (block,) = message["content"]
    assert (block["type"], block["name"], message["stop_reason"]) == (
        "tool_use",
        "weather",
        "tool_use",
    )
    assert block["input"]["city"] in ("Ulm", "Bonn")
    result = {"type": "tool_result", "tool_use_id": block["id"], "content": "sun"}
    messages = [
        *TURNS,
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [result]},
    ]
    following = asked_of(writing, post(writing, messages=messages))["messages"]
    assert following[1]["tool_calls"][0]["id"] == following[2]["tool_call_id"] == block["id"]


@pytest.mark.parametrize(
    ("choice", "ours"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
    ],
)
def test_every_choice_of_tools_is_kept(
    writing: Running, choice: dict[str, Any], ours: dict[str, Any]
) -> None:
    fields = asked_of(writing, post(writing, **{**CALLING, "max_tokens": 5, "tool_choice": choice}))
    assert {name: fields[name] for name in ours} == ours


def test_a_call_that_is_cut_off_has_the_arguments_so_far(writing: Running) -> None:
    message = post(writing, **{**CALLING, "max_tokens": 40})
    assert message["stop_reason"] == "max_tokens"
    assert all(isinstance(block["input"], dict) for block in message["content"])


def test_an_answer_keeps_its_schema(writing: Running) -> None:
    form = {"format": {"type": "json_schema", "schema": CITY}, "effort": "low"}
    (block,) = post(writing, max_tokens=90, output_config=form)["content"]
    assert json.loads(block["text"])["city"] in ("Ulm", "Bonn")


def test_a_stop_sequence_is_named(writing: Running) -> None:
    (block,) = post(writing)["content"]
    stop = block["text"][4:6]
    message = post(writing, stop_sequences=["never, ever", stop])
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", stop)
    assert message["content"][0]["text"] == block["text"].partition(stop)[0]
    end = events_of(writing, stop_sequences=[stop])[-2]
    assert end["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": stop}


@pytest.mark.parametrize("asked", [ASKED, CALLING], ids=["text", "call"])
def test_a_stream_builds_the_same_message(writing: Running, asked: dict[str, Any]) -> None:
    whole = post(writing, **asked)
    events = events_of(writing, **asked)
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert {*kinds[3:-3]} == {"content_block_delta"}
    start = events[0]["message"]
    assert (start["content"], start["stop_reason"]) == ([], None)
    deltas = [event["delta"] for event in events[3:-3]]
    block = events[1]["content_block"]
    if asked is CALLING:
        pieces = "".join(delta["partial_json"] for delta in deltas)
        block |= {"input": json.loads(pieces), "id": whole["content"][0]["id"]}
    else:
        block["text"] += "".join(delta["text"] for delta in deltas)
    assert [block] == whole["content"]
    assert events[-2]["delta"]["stop_reason"] == whole["stop_reason"]
    assert events[-2]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": [{"role": "user"}]}, "messages.0.content", "required"),
        ({"messages": [*TURNS, {"role": "assistant", "content": "The"}]}, "messages", "must end"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
            "messages.0.content.0.type",
            "'text'",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "x"}]}
                ]
            },
            "messages.0.content",
            "needs the role user",
        ),
        ({"max_tokens": None}, "max_tokens", "a whole number"),
        ({"max_tokens": 100_000}, "max_tokens", "between 1 and 999"),
        ({"temperature": 9}, "temperature", "between 0"),
        ({"stop": ["x"]}, "stop", "not a parameter here"),
        ({"n": 2}, "n", "not a parameter here"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema", "required"),
        (
            {"tools": [{"name": "f", "input_schema": {"type": "object", "not": {}}}]},
            "tools.0.input_schema",
            "can't be enforced: not",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "tools.0.input_schema", "requ"),
        ({"tool_choice": {"type": "any"}}, "tool_choice", "needs tools"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name", "required"),
        ({**CALLING, "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice", "none of the"),
        ({**CALLING, "stop_sequences": ["x"]}, "stop_sequences", "stop_sequences"),
        ({"container": "x"}, "container", "not a parameter here"),
    ],
)
def test_what_is_refused_names_its_field(
    writing: Running, fields: dict[str, Any], param: str, message: str
) -> None:
    answer = writing.client.post(URL, json={**ASKED, **fields})
    body = answer.json()
    assert (answer.status_code, body["type"]) == (422, "error")
    error = body["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert message in error["message"]


def test_one_that_is_too_long_is_refused_by_its_field(writing: Running) -> None:
    turns = [{"role": "user", "content": "the hen " * 400}]
    for stream in (False, True):
        answer = writing.client.post(URL, json={**ASKED, "messages": turns, "stream": stream})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
        assert error["param"] == "messages"


def test_errors_of_every_layer_have_the_same_shape(writing: Running) -> None:
    text = {"content-type": "text/plain"}
    for answer, status, kind in (
        (writing.client.get(URL), 405, "invalid_request_error"),
        (writing.client.post(f"{URL}/count_tokens", json={}), 404, "not_found_error"),
        (writing.client.post(URL, json={**ASKED, "model": "x"}), 404, "not_found_error"),
        (writing.client.post(URL, content=b"x" * 2_000_000), 413, "request_too_large"),
        (writing.client.post(URL, content=b"{}", headers=text), 415, "invalid_request_error"),
    ):
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


def test_a_key_comes_in_either_header(settings: Settings, tmp_path: Path) -> None:
    tiny_checkpoint(settings.checkpoints, "language")
    file = tmp_path / "keys"
    file.write_text(f"ann {hashlib.sha256(b'ann-key').hexdigest()}")
    with serving(settings.model_copy(update={"keys_file": file})) as running:
        body = {"model": "tiny-language", "max_tokens": 1}

        def asks(**headers: str) -> httpx.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return running.client.post(URL, json=body, headers=named)

        assert asks(x_api_key="ann-key").json()["error"]["param"] == "messages"
        assert asks(authorization="Bearer ann-key").json()["error"]["param"] == "messages"
        for refused in (asks(), asks(x_api_key="x"), asks(x_api_key="ann-key", authorization="x")):
            assert refused.status_code == 401
            assert refused.json()["error"]["type"] == "authentication_error"
        others = running.client.get("/jobs", headers={"x-api-key": "ann-key"})
        assert others.status_code == 401  # the header is Anthropic's alone
        document = running.client.get("/openapi.json").json()
        assert {"x-api-key": []} in document["paths"][URL]["post"]["security"]
