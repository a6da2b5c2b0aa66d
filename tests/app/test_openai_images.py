"""POST /v1/images/generations as the real openai package asks it, over a real worker."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.app.serving import Running
from tests.app.studio import DRAWER, PAINTER, PLAIN, a_studio, opened


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with a_studio(redis_server, tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture
def client(studio: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def job_of(studio: Running, answer: Any) -> dict[str, Any]:
    return dict(studio.client.get(f"/jobs/{answer.job_id}").json())


@pytest.mark.slow
def test_pictures_come_inline(studio: Running, client: openai.OpenAI) -> None:
    asked = {"seed": 7, "steps": 2, "negative_prompt": "dog", "sampler": "euler"}
    answer = client.images.generate(model=PAINTER, prompt="a red apple", n=2, extra_body=asked)
    assert answer.data is not None
    assert [opened(x.b64_json).size for x in answer.data] == [(32, 32)] * 2
    assert [x.revised_prompt for x in answer.data] == [None, None]
    assert (answer.size, answer.output_format) == ("32x32", "png")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens_details.text_tokens == 0
    job = job_of(studio, answer)
    assert (job["type"], job["status"], answer.created) == (
        "text-to-image",
        "completed",
        job["completed_at"],
    )
    assert {k: job["input"][k] for k in asked} == asked
    assert [x.seed for x in answer.data] == [o["seed"] for o in job["outputs"]]  # type: ignore[attr-defined]
    for picture, output in zip(answer.data, job["outputs"], strict=True):
        assert base64.b64decode(picture.b64_json or "") == studio.client.get(output["url"]).content


def test_a_url_is_whole_and_can_be_fetched(studio: Running, client: openai.OpenAI) -> None:
    asked = {"steps": 2}
    answer = client.images.generate(prompt="dog", response_format="url", extra_body=asked)
    assert answer.data is not None
    (picture,) = answer.data
    assert picture.url is not None
    assert picture.url.startswith(f"{studio.url}/artifacts/")
    assert picture.b64_json is None
    assert httpx.get(picture.url).content.startswith(b"\x89PNG")


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_formats_are_as_asked(client: openai.OpenAI, output_format: Any) -> None:
    answer = client.images.generate(
        model=PAINTER, prompt="a dog", output_format=output_format, extra_body={"steps": 1}
    )
    assert answer.data is not None
    assert opened(answer.data[0].b64_json).format == output_format.upper()
    assert answer.output_format == output_format


def test_what_the_official_client_sends_is_taken(studio: Running, client: openai.OpenAI) -> None:
    answer = client.images.generate(
        model=None,
        prompt="a dog",
        n=None,
        size="auto",
        style="vivid",
        quality="high",
        background="auto",
        moderation="low",
        output_format=None,
        output_compression=100,
        complexity="low",
        user="me",
        safety_identifier="me",
        stream=False,
        partial_images=0,
        extra_body={"steps": 1},
    )
    assert job_of(studio, answer)["input"]["style"] is None


def test_a_style_that_the_model_knows_is_used(studio: Running, client: openai.OpenAI) -> None:
    round_one: Any = "round"
    answer = client.images.generate(prompt="dog", style=round_one, extra_body={"steps": 1})
    assert job_of(studio, answer)["input"]["style"] == "round"


def test_words_that_are_not_known_are_told(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="a red zeppelin", extra_body={"steps": 1})
    assert answer.data is not None
    assert answer.data[0].notes == ["not understood: zeppelin"]  # type: ignore[attr-defined]


def test_partial_pictures_come_before_the_whole(client: openai.OpenAI) -> None:
    stream = client.images.generate(
        model=PAINTER, prompt="a dog", stream=True, partial_images=2, extra_body={"steps": 12}
    )
    *partial, last = list(stream)
    assert 1 <= len(partial) <= 2
    for number, event in enumerate(partial):
        assert isinstance(event, openai.types.ImageGenPartialImageEvent)
        assert event.partial_image_index == number
        assert opened(event.b64_json).size == (32, 32)
        assert (event.size, event.output_format) == ("32x32", "png")
    assert isinstance(last, openai.types.ImageGenCompletedEvent)
    assert opened(last.b64_json).size == (32, 32)
    assert last.usage.total_tokens == 0


def test_a_stream_of_several_pictures_completes_each(studio: Running) -> None:
    async def ask() -> list[Any]:
        url = f"{studio.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            stream = await client.images.generate(
                prompt="a dog", n=3, stream=True, output_format="webp", extra_body={"steps": 1}
            )
            return [event async for event in stream]

    events = asyncio.run(ask())
    assert [e.type for e in events] == ["image_generation.completed"] * 3
    assert [e.index for e in events] == [0, 1, 2]
    assert len({e.b64_json for e in events}) == 3
    assert {opened(e.b64_json).format for e in events} == {"WEBP"}


def test_a_model_without_words_takes_a_kind(studio: Running, client: openai.OpenAI) -> None:
    steps = {"steps": 1}
    for prompt, more, kind in (
        ("Shoe", {}, "shoe"),
        ("", {}, None),
        ("a fine bag", {"class_label": "bag"}, "bag"),
    ):
        answer = client.images.generate(model=DRAWER, prompt=prompt, extra_body=steps | more)
        assert answer.data is not None
        assert answer.data[0].revised_prompt == kind
        job = job_of(studio, answer)
        assert (job["type"], job["input"]["class_label"]) == ("image", kind)


def test_a_walk_and_a_sheet_are_files_like_the_others(client: openai.OpenAI) -> None:
    walk: dict[str, Any] = {"interpolate": {"to_seed": 2, "frames": 2}}
    moving = client.images.generate(model=PLAIN, prompt="", extra_body=walk)
    sheet = client.images.generate(model=PLAIN, prompt="", n=2, extra_body={"grid": True})
    roles = [[x.role for x in answer.data or ()] for answer in (moving, sheet)]  # type: ignore[attr-defined]
    assert roles == [["sheet", "animation"], ["picture", "picture", "sheet"]]


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"prompt": ""}, "prompt", "invalid_parameter", "prompt must have at least 1 characters"),
    ({"prompt": 5}, "prompt", "invalid_parameter", "prompt must be a string"),
    (
        {"model": DRAWER},
        "prompt",
        "invalid_parameter",
        f"takes no words: prompt must be one of its labels (shirt, shoe, bag), or empty; "
        f"models that do: {PAINTER}",
    ),
    ({"model": PLAIN}, "prompt", "invalid_parameter", "takes no words: prompt must be empty"),
    ({"n": 65}, "n", "invalid_parameter", "n must be between 1 and 64"),
    ({"background": "transparent"}, "background", "invalid_parameter", "'auto', 'opaque'"),
    (
        {"output_compression": 50},
        "output_compression",
        "invalid_parameter",
        "must be 100: other values are not supported",
    ),
    ({"output_format": "gif"}, "output_format", "invalid_parameter", "one of 'png', 'webp'"),
    ({"frame_count": 5}, "frame_count", "unknown_parameter", "is not a parameter here"),
    ({"style": "square"}, "style", "invalid_parameter", "style must be one of 'flat', 'round'"),
    ({"quality": "best"}, "quality", "invalid_parameter", "quality must be one of 'auto'"),
    ({"partial_images": 1}, "partial_images", "invalid_parameter", "partial_images needs stream"),
    (
        {"partial_images": 4, "stream": True},
        "partial_images",
        "invalid_parameter",
        "between 0 and 3",
    ),
    (
        {"stream": True, "response_format": "url"},
        "response_format",
        "invalid_parameter",
        "must be b64_json with stream",
    ),
    ({"extra_body": {"stream": 1}}, "stream", "invalid_parameter", "must be true or false"),
    ({"extra_body": {"steps": "5"}}, "steps", "invalid_parameter", "steps must be a whole number"),
    ({"extra_body": {"stepz": 5}}, "stepz", "unknown_parameter", "known parameters: prompt, size"),
    ({"extra_body": {"model": 5}}, "model", "invalid_parameter", "model must be a string"),
    ({"extra_body": {"init_image": "ab" * 32}}, "init_image", "artifact_not_found", "names no"),
]


@pytest.mark.parametrize(("fields", "param", "code", "message"), REFUSED)
def test_what_no_model_can_do_is_refused_by_name(
    client: openai.OpenAI, fields: dict[str, Any], param: str, code: str, message: str
) -> None:
    expected = openai.NotFoundError if "not_found" in code else openai.UnprocessableEntityError
    with pytest.raises(expected) as caught:
        client.images.generate(**{"prompt": "a dog", **fields})
    assert (caught.value.param, caught.value.code) == (param, code)
    assert message in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=f"known models: .*{PAINTER}") as caught:
        client.images.generate(model="dall-e-3", prompt="a dog")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_prompt_is_needed(studio: Running) -> None:
    answer = studio.client.post("/v1/images/generations", json={})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "missing_parameter"
    assert answer.json()["error"]["param"] == "prompt"


def test_the_document_has_each_models_own_fields(studio: Running) -> None:
    document = studio.client.get("/openapi.json").json()
    post = document["paths"]["/v1/images/generations"]["post"]
    body = post["requestBody"]["content"]["application/json"]
    assert len(body["schema"]["anyOf"]) == len(body["examples"]) == 3
    schemas = document["components"]["schemas"]
    painter, drawer = (schemas[f"{model}-in-openai"] for model in (PAINTER, DRAWER))
    assert painter["required"] == ["prompt"]
    assert set(drawer["required"]) == {"prompt", "model"}
    assert {"class_label", "response_format", "steps"} < set(drawer["properties"])
    assert "text/event-stream" in post["responses"]["200"]["content"]
