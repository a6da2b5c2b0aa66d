"""OpenAI's requests for text that come to no good end: a fault, a client that leaves or retries."""

import json
import threading
from dataclasses import replace

import httpx
import openai
import pytest
from torch import Tensor

from app.openai import answer_stream
from app.openai.text import batch_stream
from app.operations import retries
from atelier import Client, TextChangedError
from models.language import language
from models.language.sampling import Choice, choose
from tests.app.serving import Running, eventually
from tests.app.test_generate import error_of
from tests.app.written import TEXT
from workers.jobs.text_deltas import Delta, DeltaTracker


@pytest.mark.parametrize("prompt", ["the ant ran", ["the ant ran", "a hen"]])
def test_a_failure_in_mid_stream_is_an_error_with_its_code(
    stock: openai.OpenAI, monkeypatch: pytest.MonkeyPatch, prompt: str | list[str]
) -> None:
    count, read = [0], threading.Event()

    def failing(*columns: Tensor) -> Choice:
        count[0] += 1
        if count[0] > 6:
            read.wait(20)
            raise RuntimeError("a fault")
        return choose(*columns)

    monkeypatch.setattr(language, "choose", failing)
    chunks = stock.completions.create(stream=True, **{**TEXT, "prompt": prompt})
    got = next(chunks).choices[0].text
    read.set()
    with pytest.raises(openai.APIError) as failed:
        list(chunks)
    assert failed.value.code == "internal_error"
    assert "failed on the server" in failed.value.message
    assert got


def test_words_that_are_not_the_texts_any_more_are_not_left_standing(
    writing: Running, stock: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a worker dies that has told its readers what the next one would not write."""
    add = DeltaTracker.add

    def otherwise(self: DeltaTracker, piece: str) -> tuple[Delta, ...]:
        return tuple(replace(delta, text=delta.text.swapcase()) for delta in add(self, piece))

    monkeypatch.setattr(DeltaTracker, "add", otherwise)
    with pytest.raises(openai.APIError, match="another wrote other words: job_") as failed:
        list(stock.completions.create(stream=True, **TEXT))
    assert failed.value.code == "worker_lost"
    with Client(writing.url) as client:
        job = client.story(kind="continuation", text="the hen then", max_tokens=20)
        with pytest.raises(TextChangedError):
            list(job.deltas())
        assert job.wait().outputs[0].text


def jobs_of(writing: Running) -> list[str]:
    """The statuses of all jobs, the newest first."""
    return [job["status"] for job in writing.client.get("/jobs?limit=100").json()["data"]]


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["the ant ran", ["the ant ran", "a hen", "in the rain"]])
@pytest.mark.parametrize("headers", [{}, {"x-stainless-retry-count": "0"}])
def test_a_client_that_leaves_frees_its_slot(
    writing: Running,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    prompt: str | list[str],
) -> None:
    """At once, even one that would try again, for it has had the beginning of its answer."""
    monkeypatch.setattr(answer_stream, "ARRIVED", 0.0)
    monkeypatch.setattr(batch_stream, "ARRIVED", 0.0)
    monkeypatch.setattr(retries, "GRACE", 600.0)
    before = len(jobs_of(writing))
    go_on = threading.Event()

    def slowed(*columns: Tensor) -> Choice:
        go_on.wait(0.25)  # a busy machine sees late that someone has left
        return choose(*columns)

    monkeypatch.setattr(language, "choose", slowed)
    body = {**TEXT, "prompt": prompt, "max_tokens": 900, "stream": True}
    with writing.client.stream("POST", "/v1/completions", json=body, headers=headers) as answer:
        assert answer.headers["location"]
        assert next(answer.iter_text())
    count = len(jobs_of(writing)) - before
    assert count == (1 if isinstance(prompt, str) else 3)
    assert eventually(lambda: set(jobs_of(writing)[:count]) == {"canceled"}, 20)
    native = writing.client.post("/generate/story", json={"prompt": "a hen", "max_tokens": 60})
    with httpx.Client(base_url=writing.url) as other:
        own = native.headers["location"]
        with other.stream("GET", f"{own}/events") as events:
            assert next(events.iter_text())
    assert writing.client.get(own).json()["status"] in ("queued", "in_progress")
    go_on.set()
    assert eventually(lambda: writing.client.get(own).json()["status"] == "completed", 20)


@pytest.mark.slow
def test_a_stream_of_several_ends_with_the_first_that_fails(
    writing: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slowed(*columns: Tensor) -> Choice:
        go_on.wait(0.1)
        return choose(*columns)

    monkeypatch.setattr(language, "choose", slowed)
    body = {**TEXT, "prompt": ["the ant ran", "a hen"], "max_tokens": 900, "stream": True}
    with writing.client.stream("POST", "/v1/completions", json=body) as answer:
        lines = answer.iter_lines()
        assert next(lines)
        with httpx.Client(base_url=writing.url) as other:
            newest = other.get("/jobs?limit=1").json()["data"][0]["id"]
            assert other.post(f"/jobs/{newest}/cancel").is_success
        (*_, last) = [line for line in lines if line]
    go_on.set()
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "canceled"
    assert eventually(lambda: set(jobs_of(writing)[:2]) == {"canceled"}, 20)


def test_a_retry_gets_the_job_of_its_first_try(writing: Running) -> None:
    body = {**TEXT, "prompt": "the hen then ran", "max_tokens": 30}
    first = writing.client.post("/v1/completions", json=body, headers={"Idempotency-Key": "once"})
    again = writing.client.post("/v1/completions", json=body, headers={"Idempotency-Key": "once"})
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    streamed = writing.client.post(
        "/v1/completions", json={**body, "stream": True}, headers={"Idempotency-Key": "once"}
    )
    assert error_of(streamed)["code"] == "idempotency_key_reuse"


def test_the_clients_own_retries_make_no_second_job(
    writing: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowed(*columns: Tensor) -> Choice:
        threading.Event().wait(0.05)
        return choose(*columns)

    monkeypatch.setattr(language, "choose", slowed)
    url = f"{writing.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=6, timeout=0.5) as hasty:
        got = hasty.completions.create(**{**TEXT, "prompt": "an eel in a hurry", "seed": 9})
    jobs = writing.client.get("/jobs?limit=100").json()["data"]
    same = [job for job in jobs if job["input"].get("text") == "an eel in a hurry"]
    assert [job["id"] for job in same] == [(got.model_extra or {})["job_id"]]
