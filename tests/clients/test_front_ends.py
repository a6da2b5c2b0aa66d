"""Requests as Open WebUI and LibreChat send them, with the two settings of docs/clients.md.

Read in a public archive of their sources, by commit: Open WebUI's routers/images.py at 02530d501461
and routers/tasks.py at 074d48839d00; LibreChat's structured/OpenAIImageTools.js and
endpoints/openai/llm.ts, whose fields langchain's ChatOpenAI sends, at 00b3bc32f0f5; and its
structured/DALLE3.js, in the version that asks for `dall-e-3` by itself.
"""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.app.serving import Running
from tests.app.studio import PAINTER, WRITER, a_studio, opened

ALIASES = f"dall-e-2={PAINTER},dall-e-3={PAINTER},gpt-image-1={PAINTER},gpt-4o={WRITER}"
FAMILIES = ("latent_diffusion", "language")
KEY = {"Authorization": "Bearer none"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def front_end(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("front_end")
    settings = {"aliases": ALIASES, "sizes": "nearest"}
    with a_studio(redis_server, folder, FAMILIES, **settings) as running:
        yield running


@pytest.fixture
def api(front_end: Running) -> httpx.Client:
    return front_end.client


def drawn(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 64)).save(out, kind)
    return out.getvalue()


def size_of(image: dict[str, Any]) -> tuple[int, int]:
    return tuple(opened(image["b64_json"]).size)  # type: ignore[return-value]


@pytest.mark.parametrize("size", ["512x512", "256x256", "1024x1024", "1792x1024"])
def test_open_webui_asks_for_pictures(api: httpx.Client, size: str) -> None:
    body = {"model": "dall-e-2", "prompt": "a dog", "n": 1, "size": size}
    body |= {"response_format": "b64_json"}
    answer = api.post("/v1/images/generations", json=body, headers=KEY)
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["data"]
    assert "{}x{}".format(*size_of(image)) == size
    assert not image.get("url")


def test_open_webui_asks_for_pictures_of_gpt_image(api: httpx.Client) -> None:
    """It leaves `response_format` out for names that begin with gpt-image, and may send `auto`."""
    body = {"model": "gpt-image-1", "prompt": "a dog", "n": 2, "size": "auto"}
    images = api.post("/v1/images/generations", json=body, headers=KEY).json()["data"]
    assert [size_of(image) for image in images] == [(32, 32), (32, 32)]


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_open_webui_edits(api: httpx.Client, name: str) -> None:
    form = {"model": "dall-e-2", "prompt": "a dog", "size": "512x512", "n": "1"}
    form |= {"response_format": "b64_json"}
    files = [(name, ("5f0e.jpg", drawn("JPEG"), "image/jpeg"))]
    answer = api.post("/v1/images/edits", data=form, files=files, headers=KEY)
    assert answer.status_code == 200, answer.text
    assert size_of(answer.json()["data"][0]) == (512, 512)


def test_open_webui_and_librechat_list_models(api: httpx.Client) -> None:
    listed = api.get("/text/v1/models", headers=KEY).json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == [WRITER, "gpt-4o"]


def chunks_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_open_webui_chats(api: httpx.Client) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    body: dict[str, Any] = {"stream": True, "model": "gpt-4o", "messages": messages}
    body |= {"stream_options": {"include_usage": True}, "max_tokens": 4}
    chunks = chunks_of(api.post("/text/v1/chat/completions", json=body, headers=KEY))
    assert {chunk["model"] for chunk in chunks} == {"gpt-4o"}
    assert chunks[-1]["usage"]["completion_tokens"] <= 4


def test_open_webui_asks_for_a_title(api: httpx.Client) -> None:
    """Of a context as small as the tests' model has, so with fewer tokens than its 1000."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "A title"}]}
    body |= {"stream": False, "max_completion_tokens": 8}
    answer = api.post("/text/v1/chat/completions", json=body, headers=KEY)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["role"] == "assistant"


@pytest.mark.parametrize("size", ["1024x1024", "1792x1024", "1024x1792"])
def test_librechat_asks_for_dall_e_3(api: httpx.Client, size: str) -> None:
    """It reads a URL, though it doesn't ask for one, and fetches it without a key."""
    body = {"model": "dall-e-3", "quality": "standard", "style": "vivid", "size": size}
    body |= {"prompt": "a dog", "n": 1}
    (image,) = api.post("/v1/images/generations", json=body, headers=KEY).json()["data"]
    fetched = httpx.get(image["url"])
    assert fetched.headers["content-type"] == "image/png"
    assert "{}x{}".format(*Image.open(io.BytesIO(fetched.content)).size) == size


@pytest.mark.parametrize("output_format", ["png", "webp", "jpeg"])
def test_librechat_asks_for_gpt_image(api: httpx.Client, output_format: str) -> None:
    body: dict[str, Any] = {"model": "gpt-image-1", "prompt": "a dog", "n": 1}
    body |= {"background": "auto", "output_format": output_format, "quality": "auto"}
    body |= {"size": "1536x1024"} | ({} if output_format == "png" else {"output_compression": 100})
    (image,) = api.post("/v1/images/generations", json=body, headers=KEY).json()["data"]
    picture = Image.open(io.BytesIO(base64.b64decode(image["b64_json"])))
    assert (picture.format, picture.size) == (output_format.upper(), (1536, 1024))


def test_librechat_edits(api: httpx.Client) -> None:
    form = {"model": "gpt-image-1", "prompt": "a dog", "quality": "auto", "size": "auto"}
    files = [("image[]", ("dog.png", drawn(), "image/png"))]
    (image,) = api.post("/v1/images/edits", data=form, files=files, headers=KEY).json()["data"]
    assert size_of(image) == (32, 32)


def test_librechat_chats(api: httpx.Client) -> None:
    body: dict[str, Any] = {"model": "gpt-4o", "stream": True, "user": "66f1"}
    body |= {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    body |= {"stream_options": {"include_usage": True}, "temperature": 1, "top_p": 1}
    body |= {"presence_penalty": 0, "frequency_penalty": 0}
    chunks = chunks_of(api.post("/text/v1/chat/completions", json=body, headers=KEY))
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["usage"]["total_tokens"] > 0
