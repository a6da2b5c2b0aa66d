"""OpenAI's requests for text over a real worker: the real client, plain and streaming."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from torch import Tensor

from app import attendance
from app.errors import RateLimited
from app.jobs import Accepted
from app.openai import answer_stream
from app.routes import openai_text
from app.submission import accept
from models import language
from models.token_draws import Choice, choose
from tests.app import stock_writer
from tests.app.serving import Running, eventually
from tests.app.studio import WRITER, a_studio
from tests.app.test_generate import error_of
from tests.app.test_openai_clients import (
    block,
    run_block,
    second,  # noqa: F401 (a fixture)
    told_by,
)

TURNS: list[Any] = [
    {"role": "developer", "content": "You are kind."},
    {"role": "user", "content": [{"type": "text", "text": "Tell me of the sea."}]},
]
CHAT: dict[str, Any] = {"model": WRITER, "messages": TURNS, "max_tokens": 12, "seed": 3}
TEXT: dict[str, Any] = {"model": WRITER, "prompt": "the ant ran", "max_tokens": 12, "seed": 3}


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with a_studio(redis_server, tmp_path_factory.mktemp("studio"), ("language",)) as running:
        yield running


@pytest.fixture
def client(studio: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", max_retries=0)


def test_a_chat_is_answered(client: openai.OpenAI) -> None:
    one = client.chat.completions.create(**CHAT)
    again = client.chat.completions.create(**CHAT)
    (choice,) = one.choices
    assert (one.object, one.model, choice.index) == ("chat.completion", WRITER, 0)
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.message.content == again.choices[0].message.content
    assert one.id != again.id
    assert choice.finish_reason in ("stop", "length")
    assert one.usage is not None
    assert one.usage.total_tokens == one.usage.prompt_tokens + one.usage.completion_tokens
    assert 0 < one.usage.completion_tokens <= 12
    assert one.usage.prompt_tokens > 20
    other = client.chat.completions.create(**{**CHAT, "seed": 4})
    assert other.choices[0].message.content != choice.message.content


def test_the_job_behind_it_is_like_any_other(studio: Running) -> None:
    answer = studio.client.post("/v1/chat/completions", json=CHAT)
    job = studio.client.get(answer.headers["location"]).json()
    assert answer.json()["job_id"] == job["id"]
    assert answer.json()["id"] == f"chatcmpl-{job['id'].removeprefix('job_')}"
    assert job["input"]["messages"][0] == {"role": "system", "content": "You are kind."}
    assert (job["type"], job["input"]["kind"]) == ("story", "chat")
    alone = {k: v for k, v in job["input"].items() if v is not None}
    native = studio.client.post("/generate/story", json=alone, headers={"Prefer": "wait=30"})
    assert native.json()["outputs"][0]["text"] == answer.json()["choices"][0]["message"]["content"]


def test_a_stream_has_its_chunks_in_order(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(n=2, **CHAT)
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(n=2, stream=True, stream_options=options, **CHAT))
    one, two, *_, usage = chunks
    for index, chunk in enumerate((one, two)):
        assert chunk.choices[0].index == index
        assert chunk.choices[0].delta.role == "assistant"
    assert usage.choices == []
    assert usage.usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    texts, ends = {0: "", 1: ""}, {}
    for chunk in chunks[2:-1]:
        (choice,) = chunk.choices
        assert choice.index not in ends
        texts[choice.index] += choice.delta.content or ""
        if choice.finish_reason:
            ends[choice.index] = choice.finish_reason
    assert texts == {x.index: x.message.content for x in whole.choices}
    assert ends == {x.index: x.finish_reason for x in whole.choices}
    assert texts[0] != texts[1]


def test_a_stream_ends_with_done(studio: Running) -> None:
    answer = studio.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert all(event.startswith("data: ") for event in events)
    last = json.loads(events[-2].removeprefix("data: "))["choices"][0]
    assert (last["delta"], last["finish_reason"]) == ({}, "length")
    assert not any("usage" in event for event in events)


def test_it_ends_before_a_stop_string(client: openai.OpenAI) -> None:
    many = {**TEXT, "max_tokens": 60}
    whole = client.completions.create(**many).choices[0].text
    cut = whole[20:23]
    for stop in (cut, [cut, "never to be seen"]):
        short = client.completions.create(stop=stop, **many).choices[0]
        assert (short.text, short.finish_reason) == (whole[: whole.index(cut)], "stop")


def test_log_probabilities_are_told(client: openai.OpenAI) -> None:
    (choice,) = client.chat.completions.create(logprobs=True, top_logprobs=2, **CHAT).choices
    assert choice.logprobs is not None
    content = choice.logprobs.content or []
    assert 0 < len(content) <= 12
    assert all(len(x.top_logprobs) == 2 and x.logprob <= 0 for x in content)
    streamed: list[Any] = []
    for chunk in client.chat.completions.create(logprobs=True, top_logprobs=2, stream=True, **CHAT):
        found = chunk.choices[0].logprobs
        streamed += (found.content or []) if found else []
    assert streamed == content
    (told,) = client.completions.create(logprobs=1, **TEXT).choices
    assert told.logprobs is not None
    assert told.logprobs.text_offset is not None
    assert told.logprobs.text_offset[0] == 0
    for token, offset in zip(told.logprobs.tokens or [], told.logprobs.text_offset, strict=True):
        assert told.text[offset:].startswith(token.rstrip("\ufffd"))
    assert len(told.logprobs.tokens or []) == len(told.logprobs.token_logprobs or []) == 12


def test_a_completion_goes_on(client: openai.OpenAI) -> None:
    plain = client.completions.create(**TEXT)
    assert plain.object == "text_completion"
    assert client.completions.create(**{**TEXT, "prompt": ["the ant ran"]}).choices == plain.choices
    chunks = list(client.completions.create(stream=True, echo=True, **TEXT))
    assert "".join(x.choices[0].text for x in chunks) == "the ant ran" + plain.choices[0].text
    few = {k: v for k, v in TEXT.items() if k != "max_tokens"}
    told = client.completions.create(**few)
    assert told.usage is not None
    assert told.usage.completion_tokens == 16
    more: Any = {"repetition_penalty": 1.5, "top_k": 5}
    other = client.completions.create(extra_body=more, **TEXT)
    assert other.choices[0].text != plain.choices[0].text


def test_several_texts_are_gone_on_from_each_by_itself(client: openai.OpenAI) -> None:
    prompts = ["the ant ran", "a hen", "in the rain"]
    asked = {**TEXT, "n": 2, "echo": True}
    told = client.completions.create(**{**asked, "prompt": prompts})
    assert [choice.index for choice in told.choices] == list(range(6))
    assert told.usage is not None
    took = 0
    for number, prompt in enumerate(prompts):
        one = client.completions.create(**{**asked, "prompt": prompt})
        pairs = zip(one.choices, told.choices[2 * number : 2 * number + 2], strict=True)
        assert all((a.text, a.finish_reason) == (b.text, b.finish_reason) for a, b in pairs)
        assert one.usage is not None
        took += one.usage.total_tokens
    assert told.usage.total_tokens == took


def test_several_texts_are_replayed_together_and_refused_together(studio: Running) -> None:
    body = {**TEXT, "prompt": ["the ant ran", "a hen"]}
    first, again = (
        studio.client.post("/v1/completions", json=body, headers={"Idempotency-Key": "several"})
        for _ in range(2)
    )
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = {**body, "prompt": ["the ant ran", "another"]}
    refused = studio.client.post(
        "/v1/completions", json=other, headers={"Idempotency-Key": "several"}
    )
    assert refused.json()["error"]["code"] == "idempotency_key_reuse"
    long = studio.client.post("/v1/completions", json={**body, "prompt": ["x", "x" * 999]})
    assert long.status_code == 400
    assert long.json()["error"]["code"] == "context_length_exceeded"


def test_where_one_of_several_is_refused_another_try_makes_them_all(
    studio: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = [0]

    async def accepted(*given: Any) -> Accepted:
        count[0] += 1
        if count[0] == 3:
            raise RateLimited("the queue is full", code="queue_full")
        return await accept(*given)

    monkeypatch.setattr(openai_text, "accept", accepted)
    body, key = {**TEXT, "prompt": ["a", "the", "ant"]}, {"Idempotency-Key": "in the middle"}
    before = studio.client.get("/jobs").json()["data"]
    assert studio.client.post("/v1/completions", json=body, headers=key).status_code == 429
    assert studio.client.get("/jobs").json()["data"] == before
    again = studio.client.post("/v1/completions", json=body, headers=key)
    assert again.status_code == 200
    assert len(again.json()["choices"]) == 3


def test_the_document_refers_to_nothing_that_is_not_there(studio: Running) -> None:
    document = studio.client.get("/openapi.json").json()
    for name in set(re.findall(r'"\$ref": "(.*?)"', json.dumps(document))):
        assert name.startswith("#/components/schemas/"), name
        assert name.removeprefix("#/components/schemas/") in document["components"]["schemas"]


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("chat/completions", {"messages": []}, "messages", "at least 1 entries"),
    ("chat/completions", {}, "messages", "messages is required"),
    ("chat/completions", {"messages": "x"}, "messages", "must be a list"),
    (
        "chat/completions",
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.role",
        "'system', 'developer', 'user', 'assistant'",
    ),
    ("chat/completions", {"messages": TURNS, "temperature": -1}, "temperature", "between 0.0"),
    ("chat/completions", {"messages": TURNS, "temperature": 3}, "temperature", "between 0.0"),
    ("chat/completions", {"messages": TURNS, "max_tokens": 100_000}, "max_tokens", "1 and 999"),
    ("chat/completions", {"messages": TURNS, "top_logprobs": 2}, "top_logprobs", "needs logprobs"),
    ("chat/completions", {"messages": TURNS, "stop": ["a"] * 5}, "stop", "at most 4"),
    ("chat/completions", {"messages": TURNS, "presence_penalty": 1}, "presence_penalty", "must be"),
    ("chat/completions", {"messages": TURNS, "tools": [{}]}, "tools", "at most 0 entries"),
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
    ("completions", {"prompt": ["a", "b"], "stream": True}, "prompt", "one text in a stream"),
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
    ("completions", {"prompt": "x", "echo": True, "logprobs": 1}, "logprobs", "not with echo"),
    (
        "chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages.0.content.0.type",
        "must be one of 'text'",
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
    ("completions", {"prompt": "x", "best_of": 2}, "best_of", "must be"),
    ("completions", {"prompt": "x", "suffix": "y"}, "suffix", "at most 0 characters"),
    ("completions", {"prompt": "x", "logprobs": 6}, "logprobs", "between 0 and 5"),
]


@pytest.mark.parametrize(("route", "body", "param", "words"), REFUSED)
def test_what_is_refused_names_its_field(
    studio: Running, route: str, body: dict[str, Any], param: str, words: str
) -> None:
    answer = studio.client.post(f"/v1/{route}", json={"model": WRITER, **body})
    assert answer.status_code == 422
    error = error_of(answer)
    assert error["param"] == param
    assert words in error["message"]


def test_an_answer_can_be_said_back(client: openai.OpenAI) -> None:
    turns: list[Any] = [*TURNS]
    answer = client.chat.completions.create(model=WRITER, messages=turns, max_tokens=8, seed=1)
    for said in (answer.choices[0].message, answer.choices[0].message.model_dump()):
        more = [*turns, said, {"role": "user", "content": "And then?", "name": None}]
        again = client.chat.completions.create(model=WRITER, messages=more, max_tokens=4, seed=1)
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
    "store": True,
    "user": "x",
    "audio": None,
}


def test_what_other_clients_send_does_no_harm(studio: Running) -> None:
    plain = studio.client.post("/v1/chat/completions", json=CHAT).json()
    answer = studio.client.post("/v1/chat/completions", json={**CHAT, **HARMLESS})
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"] == plain["choices"]


def test_a_chat_without_a_limit_may_fill_the_context(studio: Running) -> None:
    long = [{"role": "user", "content": "x" * 700}]
    body = {"model": WRITER, "messages": long, "seed": 2}
    answer = studio.client.post("/v1/chat/completions", json=body).json()
    assert answer["usage"]["total_tokens"] <= 1000
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    long[0]["content"] *= 2
    refused = studio.client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert "leave no room" in refused.json()["error"]["message"]


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(**{**CHAT, "model": "none"})
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="context has 1000") as long:
        client.completions.create(**{**TEXT, "prompt": "x" * 999})
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "prompt")
    with pytest.raises(openai.BadRequestError, match="context has 1000"):  # in a stream as well
        client.completions.create(stream=True, **{**TEXT, "prompt": "x" * 999})


def test_a_failure_in_mid_stream_is_an_error_with_its_code(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, read = [0], threading.Event()

    def failing(*columns: Tensor) -> Choice:
        count[0] += 1
        if count[0] > 6:
            read.wait(20)
            raise RuntimeError("a fault")
        return choose(*columns)

    monkeypatch.setattr(language, "choose", failing)
    chunks = client.completions.create(stream=True, **TEXT)
    got = next(chunks).choices[0].text
    read.set()
    with pytest.raises(openai.APIError) as failed:
        list(chunks)
    assert failed.value.code == "internal_error"
    assert "failed on the server" in failed.value.message
    assert got


@pytest.mark.parametrize("headers", [{}, {"x-stainless-retry-count": "0"}])
def test_a_client_that_leaves_frees_its_slot(
    studio: Running, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """At once, even one that would try again, for it has had the beginning of its answer."""
    monkeypatch.setattr(answer_stream, "ARRIVED", 0.0)
    monkeypatch.setattr(attendance, "GRACE", 600.0)
    go_on = threading.Event()

    def slowed(*columns: Tensor) -> Choice:
        go_on.wait(0.25)  # a busy machine sees late that someone has left
        return choose(*columns)

    monkeypatch.setattr(language, "choose", slowed)
    body = {**TEXT, "max_tokens": 900, "stream": True}
    with studio.client.stream("POST", "/v1/completions", json=body, headers=headers) as answer:
        job = answer.headers["location"]
        assert next(answer.iter_text())
    assert eventually(lambda: studio.client.get(job).json()["status"] == "canceled", 20)
    native = studio.client.post("/generate/story", json={"prompt": "a hen", "max_tokens": 60})
    with httpx.Client(base_url=studio.url) as other:
        own = native.headers["location"]
        with other.stream("GET", f"{own}/events") as events:
            assert next(events.iter_text())
    assert studio.client.get(own).json()["status"] in ("queued", "in_progress")
    go_on.set()
    assert eventually(lambda: studio.client.get(own).json()["status"] == "completed", 20)


def test_a_retry_gets_the_job_of_its_first_try(studio: Running) -> None:
    body = {**TEXT, "prompt": "the hen then ran", "max_tokens": 30}
    first = studio.client.post("/v1/completions", json=body, headers={"Idempotency-Key": "once"})
    again = studio.client.post("/v1/completions", json=body, headers={"Idempotency-Key": "once"})
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    streamed = studio.client.post(
        "/v1/completions", json={**body, "stream": True}, headers={"Idempotency-Key": "once"}
    )
    assert error_of(streamed)["code"] == "idempotency_key_reuse"


def test_the_clients_own_retries_make_no_second_job(
    studio: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowed(*columns: Tensor) -> Choice:
        threading.Event().wait(0.05)
        return choose(*columns)

    monkeypatch.setattr(language, "choose", slowed)
    url = f"{studio.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=6, timeout=0.5) as hasty:
        got = hasty.completions.create(**{**TEXT, "prompt": "an eel in a hurry", "seed": 9})
    jobs = studio.client.get("/jobs?limit=100").json()["data"]
    same = [job for job in jobs if job["input"].get("text") == "an eel in a hurry"]
    assert [job["id"] for job in same] == [(got.model_extra or {})["job_id"]]


@pytest.mark.parametrize("major", ["2", "3"])
def test_both_versions_of_the_client_are_served(
    studio: Running, major: str, request: pytest.FixtureRequest
) -> None:
    got = told_by(major, stock_writer, studio.url, WRITER, request)
    assert got["version"].partition(".")[0] == major
    assert got["streamed"] == got["whole"]
    assert got["again"] == got["whole"]
    assert got["usages"][0] == got["usages"][1] > 0
    assert got["stopped"] == "stop"
    assert [list(x) for x in got["errors"]] == [
        ["NotFoundError", 404, "model_not_found", "model"],
        ["BadRequestError", 400, "context_length_exceeded", "prompt"],
        ["UnprocessableEntityError", 422, "invalid_parameter", "temperature"],
    ]


def test_the_pages_snippet_runs(studio: Running, tmp_path: Path) -> None:
    python = [sys.executable, "-W", "error", "-c"]
    told = run_block(studio, python, block("python", "chat.completions"), tmp_path)
    assert "CompletionUsage(completion_tokens=" in told
