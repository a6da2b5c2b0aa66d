"""POST /v1/embeddings over a real worker: OpenAI's own client, and what is refused."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest

from app.core.store import Missing
from app.mcp.tools import tools_of
from app.openai.embeddings.response import rows_of
from tests.app.serving import Running
from tests.app.studio import a_studio
from tests.app.test_generate import error_of

MODEL, ALIAS = "tiny-embedding", "text-embedding-3-small"
URL = "/v1/embeddings"
TEXTS = ["the hen", "An ant, and the sea!", "红苹果 🦊", " "]


@pytest.fixture(scope="module")
def encoding(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("encoding")
    more: dict[str, Any] = {"default_embedding_model": MODEL, "aliases": {ALIAS: MODEL}}
    with a_studio(redis_server, folder, ["embedding", "language"], **more) as running:
        yield running


@pytest.fixture
def client(encoding: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{encoding.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def native(encoding: Running, texts: list[str], **more: Any) -> dict[str, Any]:
    """The finished job of the service's own route."""
    body, wait = {"texts": texts, **more}, {"Prefer": "wait=30"}
    job: dict[str, Any] = encoding.client.post(
        "/generate/embedding", json=body, headers=wait
    ).json()
    assert job["status"] == "completed", job
    return job


def test_texts_become_vectors_in_their_order(client: openai.OpenAI, encoding: Running) -> None:
    whole = client.embeddings.create(model=MODEL, input=TEXTS)  # the client asks for base64
    assert (whole.object, whole.model) == ("list", MODEL)
    assert [(x.object, x.index) for x in whole.data] == [("embedding", i) for i in range(4)]
    for text, x in zip(TEXTS, whole.data, strict=True):
        alone = client.embeddings.create(model=MODEL, input=text)
        assert alone.data[0].embedding == x.embedding
        assert np.linalg.norm(x.embedding) == pytest.approx(1)
    (output,) = native(encoding, TEXTS)["outputs"]
    assert whole.usage.prompt_tokens == whole.usage.total_tokens == output["prompt_tokens"] > 8
    rows = rows_of(encoding.client.get(output["url"]).content)
    assert [np.frombuffer(row, "<f4").tolist() for row in rows] == [x.embedding for x in whole.data]


def test_numbers_and_base64_are_the_same_vector(encoding: Running) -> None:
    numbers, coded = (
        encoding.client.post(URL, json={"input": "the hen", "encoding_format": x}).json()
        for x in ("float", "base64")
    )
    row = np.frombuffer(base64.b64decode(coded["data"][0]["embedding"]), "<f4")
    assert np.array_equal(np.array(numbers["data"][0]["embedding"], np.float32), row)
    bare = encoding.client.post(URL, json={"input": "the hen"}).json()
    assert bare["data"] == numbers["data"]


def test_the_job_behind_it_is_like_any_other(encoding: Running) -> None:
    body = {"input": TEXTS, "user": "me", "metadata": {"mine": "x"}, "dimensions": 24, "seed": 5}
    answer = encoding.client.post(URL, json=body)
    job = encoding.client.get(answer.headers["location"]).json()
    assert answer.json()["job_id"] == answer.headers["x-job-id"] == job["id"]
    assert (job["type"], job["model"], job["status"]) == ("embedding", MODEL, "completed")
    assert (job["input"]["texts"], job["input"]["n"]) == (TEXTS, 1)
    assert (job["metadata"], job["seed"]) == ({"mine": "x"}, 5)
    assert job["determinism"] == "bitwise"
    assert [x["role"] for x in job["outputs"]] == ["vectors"]
    name = encoding.client.get(job["outputs"][0]["url"]).headers["content-disposition"]
    assert name.endswith('.npy"')


def test_the_same_key_gives_the_same_job(encoding: Running) -> None:
    headers = {"Idempotency-Key": "vectors"}
    one, two = (
        encoding.client.post(URL, json={"input": "a sea"}, headers=headers) for _ in range(2)
    )
    assert one.headers["x-job-id"] == two.headers["x-job-id"]
    assert (one.json(), two.headers["idempotent-replayed"]) == (two.json(), "true")
    other = encoding.client.post(URL, json={"input": "an ant"}, headers=headers)
    assert other.status_code == 422
    again = encoding.client.post(URL, json={"input": "a sea"})
    assert again.headers["x-job-id"] != one.headers["x-job-id"]
    assert again.json()["data"] == one.json()["data"]


def test_many_texts_are_one_job(client: openai.OpenAI, encoding: Running) -> None:
    texts = [f"{'abcdefgh'[i % 8]} hen {'sea ' * (i % 9)}" for i in range(2048)]
    vectors = client.embeddings.create(model=MODEL, input=texts).data
    assert len(vectors) == 2048
    for index in (0, 71, 72, 2047):
        alone = client.embeddings.create(model=MODEL, input=texts[index])
        assert vectors[index].embedding == alone.data[0].embedding
    assert vectors[0].embedding == vectors[72].embedding  # the same text


def test_an_alias_names_the_model(client: openai.OpenAI, encoding: Running) -> None:
    answer = client.embeddings.create(model=ALIAS, input="the hen", dimensions=24)
    assert answer.model == ALIAS
    assert answer.data == client.embeddings.create(model=MODEL, input="the hen").data
    listed = encoding.client.get("/v1/models", params={"modality": "embedding"}).json()["data"]
    assert [(x["id"], x["alias_of"]) for x in listed] == [(MODEL, None), (ALIAS, MODEL)]
    chats = encoding.client.get("/text/v1/models").json()["data"]
    assert [x["id"] for x in chats] == ["tiny-language"]


def test_agents_have_no_tool_for_it(encoding: Running) -> None:
    services = encoding.services
    names = {tool.name for tool in tools_of(services.catalog, services.settings)}
    assert "write" in names
    assert not {name for name in names if "embedding" in name}


def test_the_document_bounds_the_dimensions(encoding: Running) -> None:
    document = encoding.client.get("/openapi.json").json()
    schema = document["components"]["schemas"][f"{MODEL}-in-openai"]
    forms = schema["properties"]["dimensions"]["anyOf"]
    assert {"type": "integer", "minimum": 24, "maximum": 24} in forms
    assert schema["required"] == ["input"]


LONG = "hen " * 60
REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({}, 422, "input", "input is required"),
    ({"input": None}, 422, "input", "input must be a string"),
    ({"input": ""}, 422, "input", "input must have at least 1 characters"),
    ({"input": []}, 422, "input", "input must have at least 1 entries"),
    ({"input": ["a", ""]}, 422, "input.1", "input.1 must have at least 1 characters"),
    ({"input": ["a", 5]}, 422, "input.1", "input.1 must be a string"),
    ({"input": [1, 2, 3]}, 422, "input", "input must be text: token ids are of another model's"),
    ({"input": [[1, 2], [3]]}, 422, "input", "input must be text: token ids are of another"),
    ({"input": {"text": "a"}}, 422, "input", "input must be a string"),
    ({"input": ["x"] * 2049}, 422, "input", "input must have at most 2048 entries"),
    ({"input": "x" * 200_001}, 422, "input", "input must have at most 200000 characters"),
    ({"input": "x", "dimensions": 12}, 422, "dimensions", "dimensions must be 24: tiny-embedding"),
    ({"input": "x", "dimensions": 24.5}, 422, "dimensions", "dimensions must be a whole number"),
    ({"input": "x", "encoding_format": "hex"}, 422, "encoding_format", "'float', 'base64'"),
    ({"input": "x", "user": 5}, 422, "user", "user must be a string"),
    ({"input": "x", "texts": ["a"]}, 422, "texts", "texts is not a parameter here"),
    ({"input": "x", "n": 1}, 422, "n", "n is not a parameter here"),
    ({"input": "x", "prompt": "a"}, 422, "prompt", "prompt is not a parameter here"),
    ({"input": "x", "seed": "a"}, 422, "seed", "seed must be a whole number"),
    ({"input": "x", "model": 5}, 422, "model", "model must be a string"),
    ({"input": "x", "model": "gpt-4o"}, 404, "model", "there is no model 'gpt-4o'"),
    ({"input": "x", "model": "tiny-language"}, 404, "model", "makes story, not embedding"),
    ({"input": LONG}, 400, "input", "input has 62 tokens; this model reads 40"),
    ({"input": ["a", LONG]}, 400, "input.1", "input.1 has 62 tokens; this model reads 40"),
    ({"input": ["a", LONG * 800]}, 400, "input.1", "input.1 has more than 40 tokens"),
]


@pytest.mark.parametrize(("body", "status", "param", "message"), REFUSED)
def test_what_is_refused_is_named(
    encoding: Running, body: dict[str, Any], status: int, param: str, message: str
) -> None:
    answer = encoding.client.post(URL, json=body)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (status, param), error
    assert message in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    if "tokens" in message and status == 400:
        assert error["code"] == "context_length_exceeded"


def test_text_that_is_no_unicode_is_refused(encoding: Running) -> None:
    headers = {"Content-Type": "application/json"}
    answer = encoding.client.post(URL, content=b'{"input": "a\\ud800"}', headers=headers)
    assert answer.status_code in (400, 422)
    assert error_of(answer)["type"] == "invalid_request_error"


def test_what_no_keyboard_writes_is_read_as_the_model_reads_it(encoding: Running) -> None:
    odd = ["\x00\x01", "\u202e\u200b", "[CLS] [SEP] [PAD]", "e\u0301" * 30, "\ufffd" * 200]
    answer = encoding.client.post(URL, json={"input": odd, "model": MODEL})
    assert answer.status_code == 200, answer.text
    vectors = [x["embedding"] for x in answer.json()["data"]]
    assert all(np.linalg.norm(vector) == pytest.approx(1) for vector in vectors)


def test_the_native_route_refuses_more_than_one_of_each(encoding: Running) -> None:
    answer = encoding.client.post("/generate/embedding", json={"texts": ["a"], "n": 2})
    assert error_of(answer)["message"] == "n must be 1: other values are not supported"
    answer = encoding.client.post("/generate/embedding", json={"texts": "a"})
    assert error_of(answer)["message"] == "texts must be a list"
    job = native(encoding, ["a", "b"], output_format="json")
    content = encoding.client.get(job["outputs"][0]["url"]).json()
    assert np.array(content["vectors"]).shape == (2, 24)
    assert content["atelier"]["params"]["texts"] == ["a", "b"]


def test_vectors_that_are_gone_are_told_so(
    encoding: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(sha256: str) -> bytes:
        raise Missing(sha256)

    monkeypatch.setattr(encoding.services.store.backend, "get", missing)
    answer = encoding.client.post(URL, json={"input": "a"})
    assert (answer.status_code, error_of(answer)["code"]) == (410, "artifact_expired")


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_file_of_another_form_is_not_read(encoding: Running, damage: str) -> None:
    job = native(encoding, ["a"])
    file = encoding.client.get(job["outputs"][0]["url"]).content
    assert len(rows_of(file)) == 1
    broken = file[:-4] if damage == "cut" else json.dumps([1.0]).encode()
    with pytest.raises(ValueError, match="array"):
        rows_of(broken)
