"""Requests as front ends send them, with the settings of docs/clients.md.

Read in a public archive of their sources, by commit: Open WebUI's routers/images.py at 02530d501461
and routers/tasks.py at 074d48839d00; LibreChat's structured/OpenAIImageTools.js and
endpoints/openai/llm.ts, whose fields langchain's ChatOpenAI sends, at 00b3bc32f0f5; and its
structured/DALLE3.js, in the version that asks for `dall-e-3` by itself. SillyTavern's
src/endpoints/stable-diffusion.js at 02903fdd3ad3, and its public/scripts/extensions/
stable-diffusion/index.js at ba6f7b7a98cf; cyanic-sd-krita's sdapi_v1.py, widgets and pages at
5678aa1bc6f2.
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
    settings = {"aliases": ALIASES, "sizes": "nearest", "sdapi": "true"}
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


def web_ui(api: httpx.Client, path: str, body: dict[str, Any] | None = None, user: str = "") -> Any:
    """The answer to a request of a client of AUTOMATIC1111's, which sends Basic authentication."""
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}".strip()}
    method = "GET" if body is None else "POST"
    answer = api.request(method, path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_open_webui_asks_the_web_ui(api: httpx.Client) -> None:
    """It reads the options, posts them back with another model, and asks with four fields."""
    models = web_ui(api, "/sdapi/v1/sd-models")
    assert [models[0]["title"], models[0]["model_name"]] == [PAINTER, PAINTER]
    options = web_ui(api, "/sdapi/v1/options")
    try:
        web_ui(api, "/sdapi/v1/options", {**options, "sd_model_checkpoint": "plain"})
        assert web_ui(api, "/sdapi/v1/options")["sd_model_checkpoint"] == "plain"
    finally:
        web_ui(api, "/sdapi/v1/options", {**options, "sd_model_checkpoint": PAINTER})
    body = {"prompt": "a dog", "batch_size": 1, "width": 512, "height": 512, "steps": 5}
    answer = web_ui(api, "/sdapi/v1/txt2img", {**body, "negative_prompt": "a cat"})
    assert opened(answer["images"][0]).size == (512, 512)
    assert json.loads(answer["info"])["notes"]


SILLY_TAVERN: dict[str, Any] = {
    "url": "http://localhost:7860",
    "auth": "me:none",
    "prompt": "a dog",
    "negative_prompt": "lowres, bad anatomy",
    "sampler_name": "DDIM",
    "scheduler": "normal",
    "steps": 20,
    "cfg_scale": 7,
    "width": 512,
    "height": 512,
    "restore_faces": False,
    "enable_hr": False,
    "hr_upscaler": "Latent",
    "hr_scale": 2,
    "denoising_strength": 0.7,
    "hr_second_pass_steps": 0,
    "override_settings": {"CLIP_stop_at_last_layers": 1},
    "override_settings_restore_afterwards": True,
    "clip_skip": 1,
    "save_images": True,
    "send_images": True,
    "do_not_save_grid": False,
    "do_not_save_samples": False,
}
"""With the settings that it comes with."""


@pytest.mark.parametrize("enlarged", [False, True])
def test_sillytavern_asks_for_pictures(api: httpx.Client, enlarged: bool) -> None:
    for name in ("upscalers", "latent-upscale-modes", "samplers", "schedulers", "sd-models"):
        for entry in web_ui(api, f"/sdapi/v1/{name}", user="me:none"):
            assert entry["title" if name == "sd-models" else "name"]
    assert web_ui(api, "/sdapi/v1/sd-vae") == []
    chosen = {"sd_model_checkpoint": PAINTER}
    assert web_ui(api, "/sdapi/v1/options", chosen, "me:none") == {}
    progress = web_ui(api, "/sdapi/v1/progress", user="me:none")
    assert (progress["progress"], progress["state"]["job_count"]) == (0, 0)
    body = {**SILLY_TAVERN, "enable_hr": enlarged}
    answer = web_ui(api, "/sdapi/v1/txt2img", body, "me:none")
    side = 1024 if enlarged else 512
    assert opened(answer["images"][0]).size == (side, side)
    assert {"clip_skip", "hr_upscaler"} <= set(json.loads(answer["info"])["without_effect"])
    assert web_ui(api, "/sdapi/v1/interrupt", {}, "me:none") == {}


KRITA: dict[str, Any] = {
    "prompt": "a dog",
    "negative_prompt": "",
    "seed": -1,
    "subseed": -1,
    "subseed_strength": 0.0,
    "cfg_scale": 7,
    "batch_size": 1,
    "n_iter": 1,
    "steps": 20,
    "override_settings_restore_afterwards": False,
}
"""What cyanic-sd-krita sends with every request, with the settings that it comes with."""


def test_krita_connects(api: httpx.Client) -> None:
    assert web_ui(api, "/queue/status") is not None
    lists = ("sd-vae", "face-restorers", "prompt-styles", "loras", "hypernetworks")
    assert all(web_ui(api, f"/sdapi/v1/{name}") == [] for name in lists)
    assert set(web_ui(api, "/sdapi/v1/scripts")) == {"txt2img", "img2img"}
    assert web_ui(api, "/sdapi/v1/embeddings")["loaded"] == {}
    state = web_ui(api, "/sdapi/v1/progress")["state"]
    assert not state["skipped"]
    assert not state["interrupted"]


def test_krita_paints(api: httpx.Client) -> None:
    options = web_ui(api, "/sdapi/v1/options")
    sampler = web_ui(api, "/sdapi/v1/samplers")[0]["name"]
    override = {"sd_model_checkpoint": options["sd_model_checkpoint"], "sd_vae": options["sd_vae"]}
    body = {**KRITA, "override_settings": override, "sampler_name": sampler}
    answer = web_ui(api, "/sdapi/v1/txt2img", {**body, "width": 768, "height": 512})
    assert opened(answer["images"][0]).size == (768, 512)
    assert (answer["parameters"]["batch_size"], answer["parameters"]["n_iter"]) == (1, 1)
    assert json.loads(answer["info"])["all_seeds"]


def test_krita_enlarges_for_a_large_canvas(api: httpx.Client) -> None:
    """Above 768 pixels it asks for a first pass, and for the canvas's own size after it."""
    large = {"enable_hr": True, "hr_upscaler": "Latent", "hr_second_pass_steps": 0}
    large |= {"denoising_strength": 0.7, "width": 682, "height": 512}
    body = {**KRITA, **large, "hr_resize_x": 1200, "hr_resize_y": 900}
    answer = web_ui(api, "/sdapi/v1/txt2img", body)
    assert opened(answer["images"][0]).size == (1200, 900)


@pytest.mark.parametrize("masked", [False, True])
def test_krita_varies_and_repaints_a_selection(api: httpx.Client, masked: bool) -> None:
    """The files have the selection's size, and the fields the size of 512 at least."""
    picture, mask = io.BytesIO(), io.BytesIO()
    Image.new("RGBA", (300, 200), (200, 30, 30, 255)).save(picture, "PNG")
    area = Image.new("RGBA", (300, 200), (0, 0, 0, 255))
    area.paste((255, 255, 255, 255), (0, 0, 150, 200))
    area.save(mask, "PNG")
    body = {**KRITA, "width": 768, "height": 512, "denoising_strength": 0.7}
    body["override_settings"] = {"img2img_color_correction": False}
    body["init_images"] = [base64.b64encode(picture.getvalue()).decode()]
    if masked:
        body["mask"] = base64.b64encode(mask.getvalue()).decode()
        body |= {"mask_blur": 4, "inpainting_mask_invert": 0, "inpainting_fill": 1}
        body |= {"inpaint_full_res": 0, "inpaint_full_res_padding": 32}
    answer = web_ui(api, "/sdapi/v1/img2img", body)
    assert opened(answer["images"][0]).size == (768, 512)
    assert json.loads(answer["info"])["denoising_strength"] == 0.7
