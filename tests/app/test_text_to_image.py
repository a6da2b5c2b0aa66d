"""POST /generate/text-to-image: what a model that reads takes, and what it refuses by name."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from app.core.settings import Settings
from tests.app.serving import Running, serving
from tests.app.studio import ANY_SIZE, PAINTER
from tests.app.test_artifacts import store
from tests.app.test_generate import error_of
from tests.models.families import tiny_checkpoint

URL = "/generate/text-to-image"


@pytest.fixture(scope="module")
def painting(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("painting")
    for family in ("latent_diffusion", "stable_diffusion"):
        tiny_checkpoint(folder / "checkpoints", family)
    settings = Settings(
        state=folder,
        redis_url=redis_server,
        checkpoints=folder / "checkpoints",
        **{"default_text_to_image_model": PAINTER},
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def api(painting: Running) -> httpx.Client:
    return painting.client


def picture(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(out, "PNG")
    return out.getvalue()


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({}, "prompt", "prompt is required"),
    ({"prompt": ""}, "prompt", "at least 1 character"),
    ({"prompt": " \n\t "}, "prompt", "must say something"),
    ({"prompt": "word " * 10_000}, "prompt", "at most 1000 characters"),
    ({"prompt": "a\x00dog"}, "prompt", "control characters"),
    ({"prompt": "a \x1b[31mdog"}, "prompt", "control characters"),
    ({"prompt": None}, "prompt", "must be a string"),
    ({"prompt": ["dog"]}, "prompt", "must be a string"),
    ({"negative_prompt": "a\x7fb"}, "negative_prompt", "control characters"),
    (
        {"negative_prompt": "dog", "guidance_scale": 1},
        "negative_prompt",
        "needs a guidance_scale other than 1",
    ),
    ({"guidance_scale": -1}, "guidance_scale", "between 0.0 and 20.0"),
    ({"mask": "ab" * 32}, "mask", "mask needs init_image"),
    ({"mask": "somewhere.png"}, "mask", "mask must"),
    ({"style": "square"}, "style", "one of 'flat', 'round'"),
    ({"clip_guidance_scale": 0}, "clip_guidance_scale", "more than 0"),
    ({"clip_guidance_every": 2}, "clip_guidance_every", "needs clip_guidance_scale"),
    ({"clip_guidance_scale": 5, "clip_guidance_every": 0}, "clip_guidance_every", "between 1 and"),
    ({"upscale": 2}, "upscale", "one of 1 or 4"),
    ({"upscale": True}, "upscale", "a number"),
    ({"width": 64}, "width", "is not a parameter"),
    ({"model": ANY_SIZE, "width": 60}, "width", "multiple of 8"),
    ({"model": ANY_SIZE, "width": 8}, "width", "between 16 and 128"),
    ({"model": ANY_SIZE, "style": "flat"}, "style", "is not a parameter"),
    ({"model": ANY_SIZE, "clip_guidance_scale": 5}, "clip_guidance_scale", "is not a parameter"),
]


@pytest.mark.parametrize(("fields", "param", "message"), BAD)
def test_what_can_not_be_painted_is_refused_by_name(
    api: httpx.Client, fields: dict[str, Any], param: str, message: str
) -> None:
    asked = {"prompt": "a dog", **fields} if fields else {}
    answer = api.post(URL, json=asked)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (422, param)
    assert message in error["message"]


def test_words_of_any_script_are_taken_as_they_are(api: httpx.Client) -> None:
    for prompt in ("红苹果", "🍎", "zzqx", "a dog\nin a rocket", "x" * 1000):
        answer = api.post(URL, json={"prompt": prompt})
        assert answer.status_code == 202
        assert answer.json()["input"]["prompt"] == prompt


def test_a_mask_must_be_as_large_as_its_picture(api: httpx.Client) -> None:
    image, fitting, other = (store(api, picture(*size)) for size in ((8, 8), (8, 8), (8, 6)))
    asked = {"prompt": "a dog", "init_image": image}
    assert api.post(URL, json={**asked, "mask": fitting}).status_code == 202
    answer = api.post(URL, json={**asked, "mask": other})
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (422, "mask")
    assert "as large as init_image, 8 by 8, and is 8 by 6" in error["message"]


def test_a_lead_without_a_count_is_of_every_step(api: httpx.Client) -> None:
    answer = api.post(URL, json={"prompt": "a dog", "clip_guidance_scale": 5})
    assert answer.json()["input"]["clip_guidance_every"] is None
