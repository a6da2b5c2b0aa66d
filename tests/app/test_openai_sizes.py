"""The `size` of OpenAI's: one of the few that a model makes, or any that its params take."""

import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.app.serving import Running
from tests.app.studio import ANY_SIZE, PAINTER, PLAIN, a_studio, opened


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    families = ("latent_diffusion", "stable_diffusion")
    with a_studio(redis_server, tmp_path_factory.mktemp("studio"), families) as running:
        yield running


@pytest.fixture
def client(studio: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


MADE: list[tuple[str, dict[str, Any], tuple[int, int], dict[str, int | None]]] = [
    (PAINTER, {}, (32, 32), {"upscale": 1}),
    (PAINTER, {"size": "auto"}, (32, 32), {"upscale": 1}),
    (PAINTER, {"size": "auto", "upscale": 4}, (128, 128), {"upscale": 4}),
    (PAINTER, {"size": "32x32"}, (32, 32), {"upscale": 1}),
    (PAINTER, {"size": "128x128"}, (128, 128), {"upscale": 4}),
    (PAINTER, {"size": "128x128", "upscale": 4}, (128, 128), {"upscale": 4}),
    (PLAIN, {"size": "28x28"}, (28, 28), {}),
    (ANY_SIZE, {"size": "auto"}, (64, 64), {"width": 64, "height": 64}),
    (ANY_SIZE, {"size": "32x48"}, (32, 48), {"width": 32, "height": 48}),
    (ANY_SIZE, {"size": "32x48", "width": 32}, (32, 48), {"width": 32, "height": 48}),
    (ANY_SIZE, {"size": "auto", "width": 24}, (24, 64), {"width": 24, "height": 64}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "asked", "measures", "params"), MADE)
def test_a_picture_is_of_the_size_asked_for(
    studio: Running,
    client: openai.OpenAI,
    model: str,
    asked: dict[str, Any],
    measures: tuple[int, int],
    params: dict[str, int | None],
) -> None:
    own = {name: value for name, value in asked.items() if name != "size"}
    size = {"size": asked["size"]} if "size" in asked else {}
    if model == PLAIN:
        answer = client.images.generate(model=model, prompt="", **size)
    else:
        more = {"steps": 1, **own}
        answer = client.images.generate(model=model, prompt="a dog", extra_body=more, **size)
    assert answer.data is not None
    assert opened(answer.data[0].b64_json).size == measures
    assert answer.size == "{}x{}".format(*measures)
    job = studio.client.get(f"/jobs/{answer.job_id}").json()  # type: ignore[attr-defined]
    assert {name: job["input"][name] for name in params} == params


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (PAINTER, {"size": "1024x1024"}, f"size must be 32x32, 128x128 or auto for {PAINTER}"),
    (PAINTER, {"size": "64x64"}, f"size must be 32x32, 128x128 or auto for {PAINTER}"),
    (PAINTER, {"size": "32x32", "upscale": 4}, "size 32x32 and upscale don't go together"),
    (PLAIN, {"size": "32x32"}, f"size must be 28x28 or auto for {PLAIN}"),
    (ANY_SIZE, {"size": "136x64"}, "size 136x64 can't be made: width must be between 16 and 128"),
    (ANY_SIZE, {"size": "64x8"}, "size 64x8 can't be made: height must be between 16 and 128"),
    (ANY_SIZE, {"size": "64x60"}, "size 64x60 can't be made: height must be a multiple of 8"),
    (ANY_SIZE, {"size": "64x64", "width": 32}, "size 64x64 and width don't go together"),
    (ANY_SIZE, {"size": "64x64", "height": None}, "size 64x64 and height don't go together"),
    *(
        (ANY_SIZE, {"size": size}, f"size must be WIDTHxHEIGHT, in pixels, or auto for {ANY_SIZE}")
        for size in ("64", "64X64", "64x64 ", "0x64", "-64x64", "64.0x64", "٦٤x64", "", "9" * 500)
    ),
]


@pytest.mark.parametrize(("model", "asked", "message"), REFUSED)
def test_a_size_that_cannot_be_made_is_a_bad_request(
    studio: Running, model: str, asked: dict[str, Any], message: str
) -> None:
    body = {"model": model, "prompt": "" if model == PLAIN else "a dog", **asked}
    answer = studio.client.post("/v1/images/generations", json=body)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": "size",
            "code": "invalid_parameter",
        }
    }
    assert answer.headers["x-should-retry"] == "false"


def test_the_client_raises_its_own_type_of_it(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="size must be 32x32, 128x128 or auto") as got:
        client.images.generate(model=PAINTER, prompt="a dog", size="1024x1024")
    assert (got.value.param, got.value.code) == ("size", "invalid_parameter")


def test_a_side_without_a_size_is_refused_by_its_own_name(studio: Running) -> None:
    body = {"model": ANY_SIZE, "prompt": "a dog", "width": 60}
    answer = studio.client.post("/v1/images/generations", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "width"
    assert answer.json()["error"]["message"] == "width must be a multiple of 8"


def test_the_document_tells_the_sizes_of_each_model(studio: Running) -> None:
    schemas = studio.client.get("/openapi.json").json()["components"]["schemas"]
    sizes = [
        schemas[f"{model}-in-openai"]["properties"]["size"]["anyOf"]
        for model in (PAINTER, PLAIN, ANY_SIZE)
    ]
    assert [null for _, null in sizes] == [{"type": "null"}] * 3
    painter, plain, free = (text for text, _ in sizes)
    assert painter["enum"] == ["32x32", "128x128", "auto"]
    assert plain["enum"] == ["28x28", "auto"]
    assert "enum" not in free
    assert [bool(re.search(free["pattern"], x)) for x in ("512x768", "auto", "512", "x")] == [
        True,
        True,
        False,
        False,
    ]
