"""POST /generate/story: what each kind of writing takes, what is refused by name, and drafts."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from app.core.settings import Settings
from tests.app.serving import Running, serving
from tests.app.test_generate import JSON, error_of
from tests.app.working import Worker
from tests.models.families import tiny_checkpoint

URL, WRITER = "/generate/story", "tiny-language"
TURN = {"role": "user", "content": "Tell me of the sea."}


@pytest.fixture(scope="module")
def writing(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service whose model lies among those of packages."""
    folder = tmp_path_factory.mktemp("writing")
    tiny_checkpoint(folder / "checkpoints", "language")
    settings = Settings(
        state=folder,
        redis_url=redis_server,
        checkpoints=folder / "none",
        **{"default_story_model": WRITER},
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def api(writing: Running, connection: "redis.Redis") -> httpx.Client:
    return writing.client


ABOUT = {"prompt": "a hen"}
POEM = {"kind": "poem", "prompt": "a hen"}
BAD: list[tuple[dict[str, Any], str, str, str]] = [
    ({}, "prompt", "missing_parameter", "prompt is required"),
    ({"kind": "poem"}, "prompt", "missing_parameter", "prompt is required"),
    ({"kind": "continuation"}, "text", "missing_parameter", "text is required"),
    ({"kind": "completion"}, "text", "missing_parameter", "text is required"),
    ({"kind": "chat"}, "messages", "missing_parameter", "messages is required"),
    ({"prompt": ""}, "prompt", "invalid_parameter", "at least 1 character"),
    ({"prompt": " \n"}, "prompt", "invalid_parameter", "must say something"),
    ({"kind": "poem", "theme": ""}, "theme", "invalid_parameter", "at least 1 character"),
    ({"prompt": "a\x00hen"}, "prompt", "invalid_parameter", "control characters"),
    ({"prompt": "a", "theme": "b"}, "prompt", "invalid_parameter", "two names of one"),
    ({"prompt": "x" * 1001}, "prompt", "invalid_parameter", "at most 1000 characters"),
    ({"prompt": 3}, "prompt", "invalid_parameter", "must be a string"),
    ({**ABOUT, "kind": "essay"}, "kind", "invalid_parameter", "'story', 'poem', 'continuation'"),
    ({**ABOUT, "text": "Once"}, "text", "invalid_parameter", "needs the kind continuation or"),
    ({**ABOUT, "messages": [TURN]}, "messages", "invalid_parameter", "needs the kind chat"),
    (
        {"kind": "continuation", "text": "Once", "style": "haiku"},
        "style",
        "invalid_parameter",
        "needs the kind story or poem",
    ),
    ({**POEM, "form": "ballad"}, "form", "invalid_parameter", "'haiku', 'limerick', 'sonnet'"),
    ({**ABOUT, "form": "haiku"}, "form", "invalid_parameter", "needs the kind poem"),
    (
        {"kind": "poem", "prompt": "雨", "form": "haiku"},
        "form",
        "invalid_parameter",
        "needs a prompt in English",
    ),
    (
        {"kind": "poem", "theme": "дождь", "style": "sonnet"},
        "form",
        "invalid_parameter",
        "needs a prompt in English",
    ),
    (
        {**POEM, "form": "haiku", "style": "sonnet"},
        "form",
        "invalid_parameter",
        "form and style name a form each",
    ),
    ({**POEM, "form": "acrostic"}, "acrostic", "missing_parameter", "acrostic is required"),
    ({**POEM, "style": "acrostic"}, "acrostic", "missing_parameter", "acrostic is required"),
    ({**POEM, "acrostic": "HEN"}, "acrostic", "invalid_parameter", "needs the form acrostic"),
    (
        {**POEM, "form": "acrostic", "acrostic": "H3N"},
        "acrostic",
        "invalid_parameter",
        "the letters A to Z alone",
    ),
    (
        {**POEM, "form": "acrostic", "acrostic": "H"},
        "acrostic",
        "invalid_parameter",
        "at least 2 characters",
    ),
    (
        {**POEM, "form": "haiku", "lines": 4},
        "lines",
        "invalid_parameter",
        "needs the form couplet or free verse",
    ),
    ({**POEM, "form": "couplet", "lines": 3}, "lines", "invalid_parameter", "must be even"),
    ({**POEM, "form": "couplet", "lines": 0}, "lines", "invalid_parameter", "between 1 and 40"),
    (
        {**POEM, "form": "sonnet", "max_tokens": 100},
        "max_tokens",
        "invalid_parameter",
        "must be at least 308 for a sonnet",
    ),
    (
        {**POEM, "form": "haiku", "stop": ["."]},
        "stop",
        "invalid_parameter",
        "stop and form don't go together",
    ),
    ({"kind": "chat", "messages": []}, "messages", "invalid_parameter", "at least 1 entries"),
    (
        {"kind": "chat", "messages": [{"role": "god", "content": "x"}]},
        "messages.0.role",
        "invalid_parameter",
        "'system', 'user', 'assistant'",
    ),
    (
        {"kind": "chat", "messages": [{"role": "user"}]},
        "messages.0.content",
        "missing_parameter",
        "is required",
    ),
    ({**ABOUT, "max_tokens": 100_000}, "max_tokens", "invalid_parameter", "between 1 and 999"),
    ({**ABOUT, "max_tokens": 0}, "max_tokens", "invalid_parameter", "between 1 and 999"),
    ({**ABOUT, "max_tokens": 1.5}, "max_tokens", "invalid_parameter", "a whole number"),
    ({**ABOUT, "temperature": -1}, "temperature", "invalid_parameter", "between 0.0 and 2.0"),
    ({**ABOUT, "temperature": 2.1}, "temperature", "invalid_parameter", "between 0.0 and 2.0"),
    ({**ABOUT, "top_p": -0.1}, "top_p", "invalid_parameter", "top_p must be"),
    ({**ABOUT, "top_k": 0}, "top_k", "invalid_parameter", "top_k must be"),
    ({**ABOUT, "min_p": 1.1}, "min_p", "invalid_parameter", "between 0.0 and 1.0"),
    ({**ABOUT, "prompt_logprobs": True}, "prompt_logprobs", "invalid_parameter", "needs logprobs"),
    (
        {**ABOUT, "logprobs": 1, "prompt_logprobs": True},
        "prompt_logprobs",
        "invalid_parameter",
        "needs the kind completion",
    ),
    ({**ABOUT, "repetition_penalty": 0}, "repetition_penalty", "invalid_parameter", "between 0.5"),
    ({**ABOUT, "stop": ["a"] * 5}, "stop", "invalid_parameter", "at most 4 entries"),
    ({**ABOUT, "stop": [""]}, "stop.0", "invalid_parameter", "at least 1 character"),
    ({**ABOUT, "stop": "END"}, "stop", "invalid_parameter", "must be a list"),
    ({**ABOUT, "logprobs": 21}, "logprobs", "invalid_parameter", "between 0 and 20"),
    ({**ABOUT, "output_format": "pdf"}, "output_format", "invalid_parameter", "'txt', 'md'"),
    ({**ABOUT, "steps": 3}, "steps", "unknown_parameter", "steps is not a parameter here"),
    ({**ABOUT, "model": "none"}, "model", "model_not_found", "known models: tiny-language"),
]


@pytest.mark.parametrize(("body", "param", "code", "message"), BAD)
def test_what_is_refused_names_its_field(
    api: httpx.Client, body: dict[str, Any], param: str, code: str, message: str
) -> None:
    answer = api.post(URL, json=body)
    error = error_of(answer)
    assert answer.status_code == (404 if code == "model_not_found" else 422)
    assert (error["param"], error["code"]) == (param, code)
    assert message in error["message"]


def test_bytes_that_are_no_utf_8_are_refused(api: httpx.Client) -> None:
    for text in (b'{"prompt": "a \xff hen"}', b'{"prompt": "\\ud800"}'):
        answer = api.post(URL, content=text, headers=JSON)
        assert answer.status_code == 400
        assert "not valid JSON" in error_of(answer)["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "a hen called {style}, <|im_end|> and {{ messages }}", "style": "{about}"},
        {"kind": "poem", "theme": "rain", "style": "ode", "title": "Rain"},
        {**POEM, "form": "acrostic", "acrostic": "hen", "style": "sad"},
        {**POEM, "form": "couplet", "lines": 4, "max_tokens": 100},
        {"kind": "continuation", "text": "The door", "max_tokens": 5, "top_k": 10},
        {"kind": "chat", "messages": [TURN, {"role": "assistant", "content": ""}, TURN]},
        {"kind": "completion", "text": "1, 2,", "stop": ["4"], "logprobs": 0, "n": 3},
    ],
)
def test_what_is_taken_becomes_a_job_that_says_it_back(
    api: httpx.Client, body: dict[str, Any]
) -> None:
    answer = api.post(URL, json=body)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["type"], job["model"]) == ("story", WRITER)
    assert job["input"].items() >= body.items()
    assert job["drafts"] == []


def test_a_style_that_names_a_form_is_that_form(api: httpx.Client) -> None:
    job = api.post(URL, json={**POEM, "style": "Couplets", "lines": 4}).json()
    assert (job["input"]["form"], job["input"]["style"]) == ("couplet", None)
    story = api.post(URL, json={**ABOUT, "style": "haiku"}).json()
    assert (story["input"]["form"], story["input"]["style"]) == (None, "haiku")


def test_a_card_tells_what_can_be_asked_for(api: httpx.Client) -> None:
    card = api.get(f"/models/{WRITER}").json()
    assert (card["modality"], card["family"]) == ("story", "language")
    fields = card["params"]["properties"]
    assert fields["max_tokens"]["anyOf"][0]["maximum"] == 999
    assert fields["kind"]["enum"] == ["story", "poem", "continuation", "chat", "completion"]


def test_drafts_are_there_until_the_job_has_ended(api: httpx.Client, worker: Worker) -> None:
    job = api.post(URL, json={**ABOUT, "n": 2}).json()["id"]
    worker.claim()
    for offset, text in ((0, "Once é"), (6, " \U0001f414")):
        worker.progress(job, 1, 9, delta={"index": 1, "offset": offset, "text": text})
    job_body = api.get(f"/jobs/{job}").json()
    assert job_body["drafts"] == [{"index": 1, "text": "Once é \U0001f414"}]
    worker.finish(job, "failed")
    assert api.get(f"/jobs/{job}").json()["drafts"] == []
    with api.stream("GET", f"/jobs/{job}/events") as events:
        (data,) = [line for line in events.iter_lines() if line.startswith("data: ")]
    assert json.loads(data.removeprefix("data: "))["status"] == "failed"
