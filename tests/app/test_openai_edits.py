"""POST /v1/images/edits and /v1/images/variations: pictures from a picture, over a worker."""

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.core.settings import Settings
from tests.app.serving import Running, serving
from tests.app.studio import ANY_SIZE, DRAWER, PAINTER, PLAIN, a_studio, opened
from tests.models.families import tiny_checkpoint

FAMILIES = ("latent_diffusion", "diffusion", "stable_diffusion", "video_diffusion")
EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
SIDE = 32  # of the painter's own pictures
FORM = {"prompt": "a dog", "seed": "3", "steps": "2"}
MIXTURE = "tiny-mixture"


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("studio")
    tiny_checkpoint(folder / "checkpoints", "mixture")
    aliases = {"dall-e-2": PAINTER}
    with a_studio(redis_server, folder, FAMILIES, aliases=aliases) as running:
        yield running


@pytest.fixture
def api(studio: Running) -> httpx.Client:
    return studio.client


@pytest.fixture
def client(studio: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def pixels(mode: str = "RGB", side: int = SIDE) -> NDArray[np.uint8]:
    channels = len(mode)
    drawn = np.random.default_rng(0).integers(0, 256, (side, side, channels), np.uint8)
    if mode.endswith("A"):
        drawn[..., -1] = 255
    return drawn


def png(drawn: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(drawn).save(out, kind)
    return out.getvalue()


def clear_left(side: int = SIDE) -> NDArray[np.uint8]:
    """A picture whose left half is fully transparent; the rest is more or less opaque."""
    drawn = pixels("RGBA", side)
    drawn[..., 3] = np.linspace(1, 255, side).astype(np.uint8)
    drawn[:, : side // 2, 3] = 0
    return drawn


def ask(
    api: httpx.Client, path: str = EDITS, form: dict[str, str] | None = None, **files: bytes
) -> httpx.Response:
    sent = {name: (f"{name}.png", data, "image/png") for name, data in files.items()}
    return api.post(path, data=FORM if form is None else form, files=sent, timeout=60)


def job_of(api: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict(api.get(f"/jobs/{answer.json()['job_id']}").json())


def result_of(answer: httpx.Response) -> NDArray[np.uint8]:
    return np.asarray(opened(answer.json()["data"][0]["b64_json"]).convert("RGB"))


@pytest.mark.slow
def test_a_mask_is_repainted_where_it_is_fully_transparent(api: httpx.Client) -> None:
    source = pixels()
    answer = ask(api, image=png(source), mask=png(clear_left()))
    result = result_of(answer)
    half = SIDE // 2
    np.testing.assert_array_equal(result[:, half:], source[:, half:])
    assert (result[:, :half] != source[:, :half]).mean() > 0.5
    job = job_of(api, answer)
    assert job["input"]["init_image"] == hashlib.sha256(png(source)).hexdigest()
    stored = Image.open(io.BytesIO(api.get(f"/artifacts/{job['input']['mask']}").content))
    expected = np.zeros((SIDE, SIDE), np.uint8)
    expected[:, :half] = 255
    np.testing.assert_array_equal(np.asarray(stored), expected)


@pytest.mark.slow
def test_without_a_mask_the_images_own_transparency_is_one(api: httpx.Client) -> None:
    source = clear_left()
    own = job_of(api, ask(api, image=png(source)))
    with_mask = job_of(api, ask(api, image=png(source), mask=png(source)))
    assert own["input"]["mask"] == with_mask["input"]["mask"] is not None
    assert own["outputs"][0]["sha256"] == with_mask["outputs"][0]["sha256"]


@pytest.mark.slow
def test_without_any_transparency_all_is_repainted(api: httpx.Client) -> None:
    soft = pixels("RGBA")
    soft[..., 3] = 1  # all but clear
    for source in (png(pixels()), png(pixels(), "JPEG"), png(soft)):
        job = job_of(api, ask(api, image=source))
        assert (job["input"]["mask"], job["input"]["strength"]) == (None, 0.9)
        assert job["model"] == PAINTER
    own = job_of(api, ask(api, form={**FORM, "strength": "0.3"}, image=png(pixels())))
    assert own["input"]["strength"] == 0.3


def test_a_palette_with_a_clear_colour_has_a_mask(api: httpx.Client) -> None:
    drawn = Image.new("P", (SIDE, SIDE), 0)
    drawn.putpalette([255, 0, 0, 0, 255, 0])
    drawn.paste(1, (0, 0, 8, SIDE))
    out = io.BytesIO()
    drawn.save(out, "PNG", transparency=1)
    job = job_of(api, ask(api, image=out.getvalue()))
    mask = Image.open(io.BytesIO(api.get(f"/artifacts/{job['input']['mask']}").content))
    assert mask.getbbox() == (0, 0, 8, SIDE)


@pytest.mark.slow
def test_the_stock_client_edits_and_varies(client: openai.OpenAI) -> None:
    image = ("dog.png", png(pixels()), "image/png")
    edited = client.images.edit(
        model=PAINTER,
        image=image,
        mask=("mask.png", png(clear_left()), "image/png"),
        prompt="a dog",
        n=2,
        size="128x128",
        quality="high",
        input_fidelity="low",
        background="auto",
        extra_body={"seed": 5, "steps": 2, "metadata": {"mine": "yes"}},
    )
    assert edited.data is not None
    assert [opened(x.b64_json).size for x in edited.data] == [(128, 128)] * 2
    several = client.images.edit(model=PAINTER, image=[image], prompt="a dog")
    assert several.data is not None
    assert len(several.data) == 1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied = client.images.create_variation(image=image, n=1, response_format="b64_json")
    assert varied.data is not None
    assert opened(varied.data[0].b64_json).size == (SIDE, SIDE)


@pytest.mark.slow
def test_a_stream_is_of_edits(client: openai.OpenAI) -> None:
    stream = client.images.edit(
        model=PAINTER,
        image=("dog.png", png(pixels()), "image/png"),
        prompt="a dog",
        stream=True,
        partial_images=2,
        extra_body={"steps": 12, "strength": 1},
    )
    kinds = [event.type for event in stream]
    assert kinds[-1] == "image_edit.completed"
    assert set(kinds[:-1]) == {"image_edit.partial_image"}


@pytest.mark.slow
@pytest.mark.parametrize("model", [PAINTER, DRAWER, ANY_SIZE])
def test_a_variation_has_no_words(api: httpx.Client, model: str) -> None:
    form = {"model": model, "steps": "2", "seed": "1", "strength": "0.4"}
    job = job_of(api, ask(api, VARIATIONS, form, image=png(clear_left())))
    assert job["input"].get("mask") is None
    assert job["input"]["strength"] == 0.4
    if model == DRAWER:
        assert job["input"].get("prompt") is None
    else:
        assert job["input"]["guidance_scale"] == 0
    again = job_of(api, ask(api, VARIATIONS, form, image=png(clear_left())))
    assert again["outputs"][0]["sha256"] == job["outputs"][0]["sha256"]


@pytest.mark.slow
def test_a_variation_may_have_words_besides(api: httpx.Client) -> None:
    form = {"prompt": "a dog", "guidance_scale": "3", "steps": "1"}
    job = job_of(api, ask(api, VARIATIONS, form, image=png(pixels())))
    assert (job["input"]["prompt"], job["input"]["guidance_scale"]) == ("a dog", 3)


@pytest.mark.slow
def test_a_name_of_openais_answers_with_urls_as_openai_does(api: httpx.Client) -> None:
    form = {"model": "dall-e-2", **FORM}
    (image,) = ask(api, form=form, image=png(pixels())).json()["data"]
    assert image["b64_json"] is None
    assert httpx.get(image["url"]).headers["content-type"] == "image/png"
    inline = ask(api, form={**form, "response_format": "b64_json"}, image=png(pixels()))
    assert inline.json()["data"][0]["url"] is None


PICTURE = png(pixels())
REFUSED: list[tuple[str, dict[str, str], dict[str, bytes], tuple[int, str | None], str]] = [
    (EDITS, FORM, {}, (415, None), "send a form"),
    (EDITS, {"prompt": "a"}, {"mask": PICTURE}, (422, "image"), "image is required, as a file"),
    (EDITS, {}, {"image": PICTURE}, (422, "prompt"), "prompt is required"),
    (EDITS, {"prompt": " "}, {"image": PICTURE}, (422, "prompt"), "prompt"),
    (EDITS, FORM, {"image": b""}, (422, "image"), "image is empty"),
    (EDITS, FORM, {"image": b"words"}, (422, "image"), "image is not a PNG, JPEG, GIF or WebP"),
    (EDITS, FORM, {"image": PICTURE[:99]}, (422, "image"), "image can't be read"),
    (EDITS, FORM, {"image": PICTURE, "mask": b"words"}, (422, "mask"), "mask is not a PNG"),
    (EDITS, FORM, {"image": PICTURE, "mask": PICTURE}, (422, "mask"), "mask must have a fully"),
    (
        EDITS,
        FORM,
        {"image": PICTURE, "mask": png(clear_left(16))},
        (422, "mask"),
        "mask must be as large as image, 32 by 32, and is 16 by 16",
    ),
    (EDITS, FORM, {"image": PICTURE, "picture": PICTURE}, (422, "picture"), "must not be a file"),
    (EDITS, FORM | {"mask": "x"}, {"image": PICTURE}, (422, "mask"), "mask must be a file"),
    (EDITS, FORM | {"init_image": "x"}, {"image": PICTURE}, (422, "init_image"), "image is"),
    (EDITS, FORM | {"n": "0"}, {"image": PICTURE}, (422, "n"), "n must be"),
    (EDITS, FORM | {"n": "many"}, {"image": PICTURE}, (422, "n"), "n must be"),
    (EDITS, FORM | {"size": "1024x1024"}, {"image": PICTURE}, (400, "size"), "size must be"),
    (EDITS, FORM | {"strength": "2"}, {"image": PICTURE}, (422, "strength"), "strength must be"),
    (EDITS, FORM | {"glitter": "2"}, {"image": PICTURE}, (422, "glitter"), "not a parameter"),
    (EDITS, FORM | {"partial_images": "2"}, {"image": PICTURE}, (422, "partial_images"), "stream"),
    (
        EDITS,
        FORM | {"background": "transparent"},
        {"image": PICTURE},
        (422, "background"),
        "opaque",
    ),
    (EDITS, FORM | {"model": "none"}, {"image": PICTURE}, (404, "model"), "there is no model"),
    (EDITS, FORM | {"model": MIXTURE}, {"image": PICTURE}, (422, "model"), "can't start from an"),
    (EDITS, FORM | {"model": "tiny-video_diffusion"}, {"image": PICTURE}, (404, "model"), "video"),
    (
        EDITS,
        {"model": DRAWER, "prompt": "bag"},
        {"image": PICTURE, "mask": png(clear_left())},
        (422, "mask"),
        f"{DRAWER} takes no mask; models that do: {PAINTER}, {ANY_SIZE}",
    ),
    (
        EDITS,
        {"model": DRAWER, "prompt": "bag"},
        {"image": png(clear_left())},
        (422, "image"),
        f"{DRAWER} can't edit only where the image is transparent",
    ),
    (VARIATIONS, {}, {"image": PICTURE, "mask": PICTURE}, (422, "mask"), "must not be a file"),
    (VARIATIONS, {"guidance_scale": "3"}, {"image": PICTURE}, (422, "guidance_scale"), "a prompt"),
    (VARIATIONS, {"model": PLAIN, "prompt": "a"}, {"image": PICTURE}, (422, "prompt"), "no words"),
]


@pytest.mark.parametrize(("path", "form", "files", "where", "message"), REFUSED)
def test_a_bad_form_is_refused_by_the_name_of_the_field(
    api: httpx.Client,
    path: str,
    form: dict[str, str],
    files: dict[str, bytes],
    where: tuple[int, str | None],
    message: str,
) -> None:
    answer = ask(api, path, form, **files)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == where, error
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"


def test_several_images_are_refused(api: httpx.Client) -> None:
    image = ("dog.png", PICTURE, "image/png")
    for names in (("image", "image"), ("image[]", "image[]"), ("image", "image[]")):
        answer = api.post(EDITS, data=FORM, files=[(name, image) for name in names])
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (422, "image")
        assert error["message"] == f"{PAINTER} takes one image, and the form has 2"


def test_a_default_that_cannot_start_from_an_image_is_passed_over(
    redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("other")
    own: dict[str, Any] = {"default_text_to_image_model": MIXTURE, "default_image_model": MIXTURE}
    tiny_checkpoint(folder / "checkpoints", "mixture")
    tiny_checkpoint(folder / "checkpoints", "latent_diffusion")
    settings = Settings(
        state=folder, redis_url=redis_server, checkpoints=folder / "checkpoints", **own
    )
    with serving(settings) as running:
        refused = ask(running.client, form={"prompt": "a", "steps": "0"}, image=PICTURE)
        assert refused.json()["error"]["param"] == "steps"  # of the model that can
        assert (
            ask(running.client, form={**FORM, "model": MIXTURE}, image=PICTURE).status_code == 422
        )


def test_a_file_beyond_the_limit_is_too_large(api: httpx.Client, studio: Running) -> None:
    space = studio.services.store.upload_space
    before, space.largest = space.largest, 1000
    try:
        answer = ask(api, image=png(pixels(side=64)))
    finally:
        space.largest = before
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


def test_the_document_tells_what_a_form_has(api: httpx.Client) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    edit = paths[EDITS]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert edit["required"] == ["image", "prompt"]
    assert {"image", "mask", "prompt", "model", "n", "size", "stream"} <= edit["properties"].keys()
    assert "dall-e-2" in edit["properties"]["model"]["enum"]
    assert MIXTURE not in edit["properties"]["model"]["enum"]
    vary = paths[VARIATIONS]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (vary["required"], "mask" in vary["properties"]) == (["image"], False)


@pytest.mark.slow
def test_events_and_errors_of_a_stream_have_the_routes_own_shape(api: httpx.Client) -> None:
    answer = ask(api, form={**FORM, "stream": "true"}, image=PICTURE)
    (line,) = [x for x in answer.text.splitlines() if x.startswith("data: ")]
    event = json.loads(line.removeprefix("data: "))
    assert event["type"] == "image_edit.completed"
    assert base64.b64decode(event["b64_json"]).startswith(b"\x89PNG")
