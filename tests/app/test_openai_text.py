"""OpenAI's requests for text over a real worker: the real client, plain and streaming."""

import json
import re
from typing import Any

import openai
import pytest

from app.core.errors import RateLimited
from app.core.store import Full
from app.operations.submit import Submitter
from app.queue.jobs import Accepted
from tests.app import stock_writer
from tests.app.serving import Running
from tests.app.studio import WRITER
from tests.app.test_generate import error_of
from tests.app.test_openai_clients import (
    answers_of,
    second,  # noqa: F401 (a fixture)
)
from tests.app.written import CHAT, TEXT


def test_a_chat_is_answered(stock: openai.OpenAI) -> None:
    one = stock.chat.completions.create(**CHAT)
    again = stock.chat.completions.create(**CHAT)
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
    other = stock.chat.completions.create(**{**CHAT, "seed": 4})
    assert other.choices[0].message.content != choice.message.content


def test_the_job_behind_it_is_like_any_other(writing: Running) -> None:
    answer = writing.client.post("/v1/chat/completions", json=CHAT)
    job = writing.client.get(answer.headers["location"]).json()
    assert answer.json()["job_id"] == job["id"]
    assert answer.json()["id"] == f"chatcmpl-{job['id'].removeprefix('job_')}"
    assert job["input"]["messages"][0] == {"role": "system", "content": "You are kind."}
    assert (job["type"], job["input"]["kind"]) == ("story", "chat")
    alone = {k: v for k, v in job["input"].items() if v is not None}
    native = writing.client.post("/generate/story", json=alone, headers={"Prefer": "wait=30"})
    assert native.json()["outputs"][0]["text"] == answer.json()["choices"][0]["message"]["content"]


def test_a_stream_has_its_chunks_in_order(stock: openai.OpenAI) -> None:
    whole = stock.chat.completions.create(n=2, **CHAT)
    options: Any = {"include_usage": True}
    chunks = list(stock.chat.completions.create(n=2, stream=True, stream_options=options, **CHAT))
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


def test_a_stream_ends_with_done(writing: Running) -> None:
    answer = writing.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert all(event.startswith("data: ") for event in events)
    last = json.loads(events[-2].removeprefix("data: "))["choices"][0]
    assert (last["delta"], last["finish_reason"]) == ({}, "length")
    assert not any("usage" in event for event in events)


def test_it_ends_before_a_stop_string(stock: openai.OpenAI) -> None:
    many = {**TEXT, "max_tokens": 60}
    whole = stock.completions.create(**many).choices[0].text
    cut = whole[20:23]
    for stop in (cut, [cut, "never to be seen"]):
        short = stock.completions.create(stop=stop, **many).choices[0]
        assert (short.text, short.finish_reason) == (whole[: whole.index(cut)], "stop")


def test_log_probabilities_are_told(stock: openai.OpenAI) -> None:
    (choice,) = stock.chat.completions.create(logprobs=True, top_logprobs=2, **CHAT).choices
    assert choice.logprobs is not None
    content = choice.logprobs.content or []
    assert 0 < len(content) <= 12
    assert all(len(x.top_logprobs) == 2 and x.logprob <= 0 for x in content)
    raw = bytes(byte for token in content for byte in token.bytes or [])
    assert raw.decode(errors="replace").startswith(choice.message.content or "nothing")
    assert all(likely.bytes is not None for x in content for likely in x.top_logprobs)
    streamed: list[Any] = []
    for chunk in stock.chat.completions.create(logprobs=True, top_logprobs=2, stream=True, **CHAT):
        logprobs = chunk.choices[0].logprobs
        streamed += (logprobs.content or []) if logprobs else []
    assert streamed == content
    (completion,) = stock.completions.create(logprobs=1, **TEXT).choices
    assert completion.logprobs is not None
    assert completion.logprobs.text_offset is not None
    assert completion.logprobs.text_offset[0] == 0
    for token, offset in zip(
        completion.logprobs.tokens or [], completion.logprobs.text_offset, strict=True
    ):
        assert completion.text[offset:].startswith(token.rstrip("\ufffd"))
    assert (
        len(completion.logprobs.tokens or []) == len(completion.logprobs.token_logprobs or []) == 12
    )


def test_a_completion_goes_on(stock: openai.OpenAI) -> None:
    plain = stock.completions.create(**TEXT)
    assert plain.object == "text_completion"
    assert stock.completions.create(**{**TEXT, "prompt": ["the ant ran"]}).choices == plain.choices
    chunks = list(stock.completions.create(stream=True, echo=True, **TEXT))
    assert "".join(x.choices[0].text for x in chunks) == "the ant ran" + plain.choices[0].text
    few = {k: v for k, v in TEXT.items() if k != "max_tokens"}
    completion = stock.completions.create(**few)
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 16
    more: Any = {"repetition_penalty": 1.5, "top_k": 5}
    other = stock.completions.create(extra_body=more, **TEXT)
    assert other.choices[0].text != plain.choices[0].text


def test_penalties_have_the_bytes_of_the_same_request_to_the_native_route(
    stock: openai.OpenAI, writing: Running
) -> None:
    penalties: Any = {"presence_penalty": 1.5, "frequency_penalty": 0.5}
    penalties["logit_bias"] = {"9": -100, "12": 3}
    plain = stock.completions.create(**TEXT)
    one = stock.completions.create(**TEXT, **penalties)
    assert one.choices[0].text != plain.choices[0].text
    native = {"kind": "completion", "text": TEXT["prompt"], **penalties}
    native |= {k: v for k, v in TEXT.items() if k not in ("prompt", "logprobs")}
    job = writing.client.post("/generate/story", json=native, headers={"Prefer": "wait=60"}).json()
    assert job["outputs"][0]["text"] == one.choices[0].text


def test_several_texts_are_gone_on_from_each_by_itself(stock: openai.OpenAI) -> None:
    prompts = ["the ant ran", "a hen", "in the rain"]
    asked = {**TEXT, "n": 2, "echo": True}
    completion = stock.completions.create(**{**asked, "prompt": prompts})
    assert [choice.index for choice in completion.choices] == list(range(6))
    assert completion.usage is not None
    took = 0
    for number, prompt in enumerate(prompts):
        one = stock.completions.create(**{**asked, "prompt": prompt})
        pairs = zip(one.choices, completion.choices[2 * number : 2 * number + 2], strict=True)
        assert all((a.text, a.finish_reason) == (b.text, b.finish_reason) for a, b in pairs)
        assert one.usage is not None
        took += one.usage.total_tokens
    assert completion.usage.total_tokens == took


@pytest.mark.parametrize("stream", [False, True])
def test_an_echo_has_the_log_probabilities_of_the_prompt(
    stock: openai.OpenAI, stream: bool
) -> None:
    prompt = "the ant ran in the rain"
    asked: Any = {**TEXT, "prompt": prompt, "logprobs": 2}
    plain = stock.completions.create(**asked).choices[0].logprobs
    if stream:
        chunks = [x.choices[0] for x in stock.completions.create(**asked, echo=True, stream=True)]
        text = "".join(chunk.text for chunk in chunks)
        (chances,) = [chunk.logprobs for chunk in chunks if chunk.logprobs]
    else:
        (choice,) = stock.completions.create(**asked, echo=True).choices
        text, chances = choice.text, choice.logprobs  # type: ignore[assignment]
    assert chances is not None
    assert plain is not None
    tokens, values = chances.tokens or [], chances.token_logprobs or []
    top, offsets = chances.top_logprobs or [], chances.text_offset or []
    assert len(tokens) == len(values) == len(top) == len(offsets)
    assert (values[0], top[0], offsets[0]) == (None, None, 0)
    assert all(value is not None and value <= 0 for value in values[1:])
    begins = len(values) - len(plain.token_logprobs or [])
    assert "".join(tokens[:begins]) == prompt
    assert (tokens[begins:], values[begins:]) == (plain.tokens, plain.token_logprobs)
    assert offsets[begins:] == [len(prompt) + x for x in plain.text_offset or []]
    for token, offset in zip(tokens, offsets, strict=True):
        assert text[offset:].startswith(token.rstrip("\ufffd"))


def test_several_texts_are_written_in_one_stream(stock: openai.OpenAI) -> None:
    prompts = ["the ant ran", "a hen", "in the rain"]
    asked: Any = {**TEXT, "prompt": prompts, "n": 2, "echo": True}
    whole = stock.completions.create(**asked)
    options: Any = {"include_usage": True}
    chunks = list(stock.completions.create(stream=True, stream_options=options, **asked))
    assert len({chunk.id for chunk in chunks}) == 1
    assert (chunks[-1].usage, chunks[-1].choices) == (whole.usage, [])
    for choice in whole.choices:
        own = [x.choices[0] for x in chunks[:-1] if x.choices[0].index == choice.index]
        assert "".join(x.text for x in own) == choice.text
        assert [x.finish_reason for x in own[:-1]] == [None] * (len(own) - 1)
        assert own[-1].finish_reason == choice.finish_reason


def test_one_of_several_that_is_refused_is_the_answer_to_the_stream(writing: Running) -> None:
    body = {**TEXT, "prompt": ["x", "x" * 999], "stream": True}
    answer = writing.client.post("/v1/completions", json=body)
    assert (answer.status_code, error_of(answer)["code"]) == (400, "context_length_exceeded")


def test_several_texts_are_replayed_together_and_refused_together(writing: Running) -> None:
    body = {**TEXT, "prompt": ["the ant ran", "a hen"]}
    first, again = (
        writing.client.post("/v1/completions", json=body, headers={"Idempotency-Key": "several"})
        for _ in range(2)
    )
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = {**body, "prompt": ["the ant ran", "another"]}
    refused = writing.client.post(
        "/v1/completions", json=other, headers={"Idempotency-Key": "several"}
    )
    assert refused.json()["error"]["code"] == "idempotency_key_reuse"
    long = writing.client.post("/v1/completions", json={**body, "prompt": ["x", "x" * 999]})
    assert long.status_code == 400
    assert long.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RateLimited("the queue is full", code="queue_full"), 429),
        (Full("the disk is full"), 503),  # a long prompt can't be kept
    ],
)
def test_where_one_of_several_is_refused_another_try_makes_them_all(
    writing: Running, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    count = [0]

    accept = Submitter.accept

    async def refuse_the_third(*args: Any) -> Accepted:
        count[0] += 1
        if count[0] == 3:
            raise error
        return await accept(*args)

    monkeypatch.setattr(Submitter, "accept", refuse_the_third)
    body, key = (
        {**TEXT, "prompt": ["a", "the", "ant"]},
        {"Idempotency-Key": f"in the middle, {status}"},
    )
    before = writing.client.get("/jobs").json()["data"]
    assert writing.client.post("/v1/completions", json=body, headers=key).status_code == status
    assert writing.client.get("/jobs").json()["data"] == before
    again = writing.client.post("/v1/completions", json=body, headers=key)
    assert again.status_code == 200
    assert len(again.json()["choices"]) == 3


def test_the_document_refers_to_nothing_that_is_not_there(writing: Running) -> None:
    document = writing.client.get("/openapi.json").json()
    for name in set(re.findall(r'"\$ref": "(.*?)"', json.dumps(document))):
        assert name.startswith("#/components/schemas/"), name
        assert name.removeprefix("#/components/schemas/") in document["components"]["schemas"]


@pytest.mark.slow
@pytest.mark.parametrize("major", ["2", "3"])
def test_both_versions_of_the_client_are_served(
    writing: Running, major: str, request: pytest.FixtureRequest
) -> None:
    got = answers_of(major, stock_writer, writing.url, WRITER, request)
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
