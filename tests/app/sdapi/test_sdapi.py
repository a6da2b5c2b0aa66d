"""AUTOMATIC1111's API: its clients' requests, answers and errors."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.app.serving import Running, eventually, serving
from tests.app.studio import DRAWER, PAINTER, PLAIN, a_studio, opened
from tests.conftest import MODEL

V1 = "/sdapi/v1"
PAINT: dict[str, Any] = {"prompt": "a red apple", "seed": 7, "steps": 6}


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("studio")
    with a_studio(redis_server, folder, sdapi="true", sizes="nearest") as running:
        yield running


def painted(studio: Running, path: str = "txt2img", **fields: Any) -> dict[str, Any]:
    answer = studio.client.post(f"{V1}/{path}", json={**PAINT, **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["x-job-id"] == json.loads(body["info"])["job_id"]
    return body


def refused(studio: Running, path: str = "txt2img", **fields: Any) -> dict[str, Any]:
    answer = studio.client.post(f"{V1}/{path}", json=fields)
    assert 400 <= answer.status_code < 500, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"error", "detail", "body", "errors"}
    return body


def as_base64(mode: str, size: tuple[int, int], colour: Any) -> str:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_it_is_off_unless_it_is_asked_for(running: Running) -> None:
    assert running.client.get(f"{V1}/options").status_code == 404


def test_a_picture_has_the_bytes_of_the_same_request_to_the_native_route(studio: Running) -> None:
    body = painted(studio, cfg_scale=2.0, negative_prompt="dog", batch_size=2)
    info = json.loads(body["info"])
    same = {"prompt": "a red apple", "seed": 7, "steps": 6, "guidance_scale": 2.0, "n": 2}
    job = studio.client.post(
        "/generate/text-to-image",
        json={**same, "negative_prompt": "dog"},
        headers={"Prefer": "wait=60"},
    ).json()
    assert info["sha256"] == [x["sha256"] for x in job["outputs"]]
    assert info["all_seeds"] == [x["seed"] for x in job["outputs"]]
    first = studio.client.get(job["outputs"][0]["url"]).content
    assert base64.b64decode(body["images"][0]) == first
    assert (info["sd_model_name"], info["steps"], info["cfg_scale"]) == (PAINTER, 6, 2.0)
    assert body["parameters"]["prompt"] == "a red apple"


def test_a_size_is_that_of_the_picture(studio: Running) -> None:
    body = painted(studio, width=96, height=64)
    assert opened(body["images"][0]).size == (96, 64)
    info = json.loads(body["info"])
    assert (info["width"], info["height"]) == (96, 64)
    assert info["notes"]


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (64, 96)),
        ({"hr_scale": 1.5}, (48, 72)),
        ({"hr_resize_x": 100, "hr_resize_y": 90}, (100, 90)),
        ({"hr_resize_y": 60}, (40, 60)),
    ],
)
def test_hires_fix_makes_the_larger_size(
    studio: Running, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    body = painted(studio, enable_hr=True, width=32, height=48, hr_upscaler="Latent", **fields)
    assert opened(body["images"][0]).size == size
    assert json.loads(body["info"])["without_effect"] == ["hr_upscaler"]


def test_what_has_no_effect_is_listed(studio: Running) -> None:
    more = {"scheduler": "Karras", "save_images": True, "override_settings": {"sd_vae": "x"}}
    nothing = {"styles": [], "enable_hr": False, "restore_faces": False, "subseed_strength": 0.0}
    scripts = {"alwayson_scripts": {"ControlNet": {"args": []}}}
    info = json.loads(painted(studio, **more, **nothing, **scripts)["info"])
    assert info["without_effect"] == ["override_settings.sd_vae", "save_images", "scheduler"]


def test_a_model_without_words_takes_a_kind(studio: Running) -> None:
    choice = {"override_settings": {"sd_model_checkpoint": DRAWER}}
    info = json.loads(painted(studio, prompt="shoe", cfg_scale=2.0, **choice)["info"])
    assert (info["sd_model_name"], info["cfg_scale"]) == (DRAWER, 2.0)
    plain = {"override_settings": {"sd_model_checkpoint": PLAIN}}
    info = json.loads(
        painted(studio, prompt="", cfg_scale=7, sampler_name="Euler", **plain)["info"]
    )
    assert info["without_effect"] == ["cfg_scale", "sampler_name", "steps"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"enable_hr": True}, "width", "at least 1"),
    ({"enable_hr": True, "width": 32, "height": 32, "hr_scale": 0}, "hr_scale", ""),
    ({"enable_hr": True, "width": 32, "height": 32, "hr_resize_x": -1}, "hr_resize_x", "least 0"),
    ({"styles": ["old"]}, "styles", "not supported"),
    ({"script_name": "x/y/z plot"}, "script_name", "not supported"),
    ({"alwayson_scripts": {"ADetailer": {"args": [True]}}}, "alwayson_scripts", "ADetailer"),
    ({"steps": 0}, "steps", "steps must be between"),
    ({"steps": 1.5}, "steps", "whole number"),
    ({"cfg_scale": -3}, "cfg_scale", "cfg_scale must be"),
    ({"sampler_name": "LMS"}, "sampler_name", "must be one of DDPM, DDIM"),
    ({"batch_size": 0}, "batch_size", "at least 1"),
    ({"batch_size": 8, "n_iter": 100}, "batch_size", "batch_size must be between"),
    ({"width": 512}, "height", "at least 1"),
    ({"width": 9999, "height": 9999}, "width", "9999x9999"),
    ({"seed": 2**60}, "seed", "seed must be"),
    ({"prompt": 3}, "prompt", "must be a string"),
    ({"override_settings": {"sd_model_checkpoint": "none"}}, "sd_model_checkpoint", "none"),
    (
        {"override_settings": {"sd_model_checkpoint": 3}},
        "override_settings.sd_model_checkpoint",
        "",
    ),
]


@pytest.mark.parametrize(("fields", "param", "message"), REFUSED)
def test_a_bad_request_is_refused_in_the_dialect(
    studio: Running, fields: dict[str, Any], param: str, message: str
) -> None:
    error = refused(studio, **{**PAINT, **fields})
    assert error["body"] == param
    assert message in error["detail"] == error["errors"]


def test_a_size_that_no_model_makes_is_refused_where_sizes_are_exact(running: Running) -> None:
    settings = running.services.settings.model_copy(update={"sdapi": True})
    with serving(settings) as exact:
        choice = {"override_settings": {"sd_model_checkpoint": MODEL}}
        error = refused(exact, prompt="", width=512, height=512, **choice)
    assert (error["body"], error["error"]) == ("width", "invalid_parameter")


def test_a_picture_is_varied_and_repainted(studio: Running) -> None:
    red = as_base64("RGB", (32, 32), (250, 10, 10))
    varied = painted(studio, "img2img", init_images=[f"data:image/png;base64,{red}"])
    assert json.loads(varied["info"])["denoising_strength"] == 0.75
    mask = Image.new("L", (32, 32))
    mask.paste(255, (0, 0, 16, 32))
    file = io.BytesIO()
    mask.save(file, "PNG")
    half = base64.b64encode(file.getvalue()).decode()
    for inverted, kept in ((0, 24), (1, 8)):
        fields = {"init_images": [red], "mask": half, "inpainting_mask_invert": inverted}
        body = painted(studio, "img2img", denoising_strength=1.0, **fields)
        picture = opened(body["images"][0]).convert("RGB")
        assert picture.getpixel((kept, 16)) == (250, 10, 10)
        assert picture.getpixel((31 - kept, 16)) != (250, 10, 10)
        assert "init_images" not in body["parameters"]


GREY = as_base64("L", (32, 32), 9)
IMAGES_REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "init_images", "required"),
    ({"init_images": []}, "init_images", "one picture, not 0"),
    ({"init_images": ["?"]}, "init_images", "base64"),
    ({"init_images": ["aGVsbG8="]}, "init_images", ""),
    ({"init_images": [GREY], "mask": "?"}, "mask", "base64"),
    ({"init_images": [GREY], "mask": as_base64("L", (8, 8), 9)}, "mask", ""),
    (
        {"init_images": [GREY], "denoising_strength": 2},
        "denoising_strength",
        "",
    ),
    ({"init_images": [GREY], "enable_hr": True}, "enable_hr", "txt2img"),
]


@pytest.mark.parametrize(("fields", "param", "message"), IMAGES_REFUSED)
def test_bad_pictures_are_refused(
    studio: Running, fields: dict[str, Any], param: str, message: str
) -> None:
    error = refused(studio, "img2img", **PAINT, **fields)
    assert error["body"] == param
    assert message in error["detail"]


def test_the_choice_of_a_model_holds(studio: Running) -> None:
    client = studio.client
    titles = [model["title"] for model in client.get(f"{V1}/sd-models").json()]
    assert titles[0] == PAINTER
    assert {DRAWER, PLAIN} <= set(titles)
    options = client.get(f"{V1}/options").json()
    assert options["sd_model_checkpoint"] == PAINTER
    try:
        answer = client.post(f"{V1}/options", json={**options, "sd_model_checkpoint": PLAIN})
        assert (answer.status_code, answer.json()) == (200, {})
        changed = {**options, "sd_vae": "other", "eta_ddim": 1, "sd_model_checkpoint": PLAIN}
        answer = client.post(f"{V1}/options", json=changed)
        assert answer.json() == {"without_effect": ["sd_vae", "eta_ddim"]}
        assert client.get(f"{V1}/options").json()["sd_model_checkpoint"] == PLAIN
        assert json.loads(painted(studio, prompt="")["info"])["sd_model_name"] == PLAIN
        assert refused(studio, "options", sd_model_checkpoint="none")["error"] == "model_not_found"
    finally:
        client.post(f"{V1}/options", json={"sd_model_checkpoint": PAINTER})


def test_lists_have_the_fields_that_clients_read(studio: Running) -> None:
    get = studio.client.get
    samplers = get(f"{V1}/samplers").json()
    assert {"name": "DPM++ 2M", "aliases": ["dpmpp_2m"], "options": {}} in samplers
    assert get(f"{V1}/upscalers").json()[0]["name"] == "None"
    assert get(f"{V1}/schedulers").json()[0]["name"] == "automatic"
    for name in ("loras", "sd-vae", "latent-upscale-modes", "prompt-styles"):
        assert get(f"{V1}/{name}").json() == []
    assert get(f"{V1}/scripts").json() == {"txt2img": [], "img2img": []}


def test_progress_and_interrupt_act_on_the_last_job(studio: Running) -> None:
    client = studio.client
    idle = client.get(f"{V1}/progress").json()
    assert (idle["progress"], idle["state"]["job_count"]) == (0, 0)
    assert client.post(f"{V1}/interrupt").json() == {}
    long = {**PAINT, "steps": 1000, "batch_size": 16}
    with httpx.Client(base_url=studio.url) as other, pytest.raises(httpx.ReadTimeout):
        other.post(f"{V1}/txt2img", json=long, timeout=0.5, headers={"Idempotency-Key": "slow"})
    seen: list[dict[str, Any]] = []
    assert eventually(
        lambda: seen.append(client.get(f"{V1}/progress").json()) or seen[-1]["current_image"], 20
    )
    assert 0 < seen[-1]["progress"] < 1
    assert seen[-1]["state"]["sampling_steps"] >= 16_000
    assert max(opened(seen[-1]["current_image"]).size) <= 128
    job_id = client.post(f"{V1}/interrupt").headers["x-job-id"]
    assert job_id == seen[-1]["state"]["job"]
    assert eventually(lambda: client.get(f"/jobs/{job_id}").json()["status"] == "canceled", 20)
    assert client.get(f"{V1}/progress").json()["state"]["job_count"] == 0


def test_a_picture_says_what_made_it(studio: Running) -> None:
    body = painted(studio, sampler_name="Euler", negative_prompt="dog")
    facts = studio.client.post(f"{V1}/png-info", json={"image": body["images"][0]}).json()
    assert facts["info"] == json.loads(body["info"])["infotexts"][0]
    assert facts["info"].startswith("a red apple\nNegative prompt: dog\nSteps: 6, Sampler: Euler")
    assert facts["parameters"]["Seed"] == 7
    assert facts["parameters"]["Model"] == PAINTER
    plain = {"image": as_base64("L", (8, 8), 0)}
    assert studio.client.post(f"{V1}/png-info", json=plain).json()["info"] == ""
    assert refused(studio, "png-info", image="aGVsbG8=")["detail"] == "image must be a PNG file"


def test_a_repeated_request_makes_no_second_job(studio: Running) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (
        studio.client.post(f"{V1}/txt2img", json=PAINT, headers=headers) for _ in range(2)
    )
    assert first.headers["x-job-id"] == second.headers["x-job-id"]
    assert second.headers["idempotent-replayed"] == "true"
