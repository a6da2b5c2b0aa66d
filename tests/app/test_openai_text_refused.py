"""What of OpenAI's requests for text is refused, by which name, and what does no harm."""

from typing import Any

import openai
import pytest

from tests.app.serving import Running
from tests.app.studio import WRITER
from tests.app.test_generate import error_of
from tests.app.written import CHAT, TEXT, TURNS

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("chat/completions", {"messages": []}, "messages", "at least 1 entries"),
    ("chat/completions", {}, "messages", "messages is required"),
    ("chat/completions", {"messages": "x"}, "messages", "must be a list"),
    (
        "chat/completions",
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.tool_call_id",
        "tool_call_id is required",
    ),
    ("chat/completions", {"messages": TURNS, "temperature": -1}, "temperature", "between 0.0"),
    ("chat/completions", {"messages": TURNS, "temperature": 3}, "temperature", "between 0.0"),
    ("chat/completions", {"messages": TURNS, "max_tokens": 100_000}, "max_tokens", "1 and 999"),
    ("chat/completions", {"messages": TURNS, "top_logprobs": 2}, "top_logprobs", "needs logprobs"),
    ("chat/completions", {"messages": TURNS, "stop": ["a"] * 5}, "stop", "at most 4"),
    (
        "chat/completions",
        {"messages": TURNS, "presence_penalty": 2.1},
        "presence_penalty",
        "between -2.0 and 2.0",
    ),
    ("chat/completions", {"messages": TURNS, "tools": [{}]}, "tools.0.type", "is required"),
    ("chat/completions", {"messages": TURNS, "kind": "poem"}, "kind", "not a parameter here"),
    (
        "chat/completions",
        {"messages": TURNS, "stream_options": {"include_usage": True}},
        "stream_options",
        "needs stream",
    ),
    (
        "chat/completions",
        {"messages": TURNS, "max_tokens": 5, "max_completion_tokens": 6},
        "max_completion_tokens",
        "two names of one",
    ),
    ("completions", {"prompt": ""}, "prompt", "at least 1 character"),
    ("completions", {"prompt": ["a", ""]}, "prompt", "at least 1 character"),
    ("completions", {"prompt": 5}, "prompt", "prompt must be a string"),
    ("completions", {"prompt": None}, "prompt", "prompt must be a string"),
    ("completions", {"prompt": [1, 2]}, "prompt.0", "prompt.0 must be a string"),
    ("completions", {"prompt": []}, "prompt", "at least 1 entries"),
    ("completions", {"prompt": ["x"] * 65}, "prompt", "at most 64 entries"),
    ("completions", {"prompt": "  "}, "prompt", "prompt must say something"),
    ("completions", {"prompt": "x", "stop": 5}, "stop", "stop must be a string"),
    ("completions", {"prompt": "x", "stop": ""}, "stop", "stop must have at least 1"),
    ("completions", {"prompt": "x", "stop": ["a", ""]}, "stop.1", "stop.1 must have at least 1"),
    ("completions", {"prompt": "x", "prompt_logprobs": True}, "prompt_logprobs", "not a parameter"),
    (
        "chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages.0.content.0.type",
        "must be 'text': other values are not supported",
    ),
    ("chat/completions", {"messages": [{"role": "user"}]}, "messages.0.content", "is required"),
    (
        "chat/completions",
        {"messages": [{"role": "user", "content": None}]},
        "messages.0.content",
        "is required",
    ),
    (
        "chat/completions",
        {"messages": [{"role": "user", "content": "x", "weight": 1}]},
        "messages.0.weight",
        "known parameters: role, content, name",
    ),
    (
        "chat/completions",
        {"messages": TURNS, "max_completion_tokens": 100_000},
        "max_completion_tokens",
        "max_completion_tokens must be between 1 and 999",
    ),
    (
        "completions",
        {"prompt": "x", "best_of": 2},
        "best_of",
        "must be 1: other values are not supported",
    ),
    ("completions", {"prompt": "x", "suffix": "y"}, "suffix", "not supported"),
    (
        "chat/completions",
        {"messages": TURNS, "logit_bias": {"5": 101}},
        "logit_bias.5",
        "between -100.0 and 100.0",
    ),
    (
        "completions",
        {"prompt": "x", "logit_bias": {"the": 1}},
        "logit_bias",
        "logit_bias must have numbers of tokens as keys, such as \"42\", not 'the'",
    ),
    (
        "completions",
        {"prompt": "x", "logit_bias": {str(n): 1 for n in range(1001)}},
        "logit_bias",
        "at most 1000 entries",
    ),
    (
        "chat/completions",
        {"messages": TURNS, "frequency_penalty": "0.5"},
        "frequency_penalty",
        "must be a number",
    ),
    ("completions", {"prompt": "x", "logprobs": 6}, "logprobs", "between 0 and 5"),
]


@pytest.mark.parametrize(("route", "body", "param", "message"), REFUSED)
def test_what_is_refused_names_its_field(
    writing: Running, route: str, body: dict[str, Any], param: str, message: str
) -> None:
    answer = writing.client.post(f"/v1/{route}", json={"model": WRITER, **body})
    assert answer.status_code == 422
    error = error_of(answer)
    assert error["param"] == param
    assert message in error["message"]


def test_an_answer_can_be_said_back(stock: openai.OpenAI) -> None:
    turns: list[Any] = [*TURNS]
    answer = stock.chat.completions.create(model=WRITER, messages=turns, max_tokens=8, seed=1)
    for said in (answer.choices[0].message, answer.choices[0].message.model_dump()):
        more = [*turns, said, {"role": "user", "content": "And then?", "name": None}]
        again = stock.chat.completions.create(model=WRITER, messages=more, max_tokens=4, seed=1)
        assert again.usage is not None
        assert answer.usage is not None
        assert again.usage.prompt_tokens > answer.usage.prompt_tokens


HARMLESS: dict[str, Any] = {
    "tools": [],
    "functions": [],
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "service_tier": "auto",
    "modalities": ["text"],
    "reasoning_effort": "low",
    "verbosity": "low",
    "safety_identifier": "x",
    "prompt_cache_key": "x",
    "response_format": {"type": "text"},
    "top_logprobs": 0,
    "logprobs": False,
    "logit_bias": {},
    "presence_penalty": 0,
    "frequency_penalty": None,
    "store": True,
    "user": "x",
    "audio": None,
}


def test_what_other_clients_send_does_no_harm(writing: Running) -> None:
    plain = writing.client.post("/v1/chat/completions", json=CHAT).json()
    answer = writing.client.post("/v1/chat/completions", json={**CHAT, **HARMLESS})
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"] == plain["choices"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_bias_for_a_token_that_is_not_there_is_refused(writing: Running, stream: bool) -> None:
    body = {**CHAT, "logit_bias": {"99999": 1}, "stream": stream}
    answer = writing.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 422
    error = error_of(answer)
    assert (error["param"], error["code"]) == ("logit_bias", "invalid_parameter")
    assert "99999" in error["message"]


def test_a_chat_without_a_limit_may_fill_the_context(writing: Running) -> None:
    long = [{"role": "user", "content": "x" * 700}]
    body = {"model": WRITER, "messages": long, "seed": 2}
    answer = writing.client.post("/v1/chat/completions", json=body).json()
    assert answer["usage"]["total_tokens"] <= 1000
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    long[0]["content"] *= 2
    refused = writing.client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert "leave no room" in refused.json()["error"]["message"]


def test_errors_are_the_clients_own(stock: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        stock.chat.completions.create(**{**CHAT, "model": "none"})
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="context has 1000") as long:
        stock.completions.create(**{**TEXT, "prompt": "x" * 999})
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "prompt")
    with pytest.raises(openai.BadRequestError, match="context has 1000"):  # in a stream as well
        stock.completions.create(stream=True, **{**TEXT, "prompt": "x" * 999})
