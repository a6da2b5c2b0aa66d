"""POST /generate/video: what is taken, and everything that is told of what is not."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from app.core.settings import Settings
from tests.app.serving import serving
from tests.app.test_generate import error_of
from tests.conftest import MODEL, save_vae
from tests.models.families import tiny_checkpoint

MOVER, GAN, URL = "tiny-video_diffusion", "tiny-video_gan", "/generate/video"


@pytest.fixture(scope="module")
def server_of_video(
    tmp_path_factory: pytest.TempPathFactory, redis_server: str
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("video")
    save_vae(folder / f"{MODEL}.safetensors")
    for family in ("video_diffusion", "video_gan"):
        tiny_checkpoint(folder, family)
    settings = Settings(
        state=folder / "state",
        redis_url=redis_server,
        checkpoints=folder,
        **{"default_video_model": MOVER},
    )
    with serving(settings) as running:
        yield running.client


@pytest.fixture
def video(server_of_video: httpx.Client, connection: "redis.Redis") -> httpx.Client:
    return server_of_video


def test_a_request_for_a_video_becomes_a_job(video: httpx.Client) -> None:
    answer = video.post(URL, json={"prompt": "a red apple", "fps": 12, "seed": 3})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["type"], job["model"], job["status"]) == ("video", MOVER, "queued")
    fields = {"prompt": "a red apple", "fps": 12.0, "frames": 16, "repeat": 1, "loop": True}
    assert job["input"].items() >= {**fields, "output_format": "mp4", "upscale": 1}.items()
    assert [j["id"] for j in video.get("/jobs?type=video").json()["data"]] == [job["id"]]


def test_videos_are_on_their_cards(video: httpx.Client) -> None:
    card = video.get(f"/models/{MOVER}").json()
    assert (card["modality"], card["labels"]) == ("video", ["flat", "round"])
    assert card["params"]["properties"]["output_format"]["enum"] == ["mp4", "webp", "gif"]
    assert card["samplers"] == ["ddim", "euler", "heun", "dpmpp_2m"]
    fields = video.get(f"/models/{GAN}").json()["params"]["properties"]
    assert (fields["frames"]["minimum"], fields["frames"]["maximum"]) == (8, 8)
    assert "steps" not in fields


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"frames": 0}, "frames", "must be between 2 and 64"),
    ({"frames": 10_000}, "frames", "must be between 2 and 64"),
    ({"frames": 2.5}, "frames", "must be a whole number"),
    ({"fps": 0}, "fps", "must be between 1.0 and 60.0"),
    ({"fps": 1000}, "fps", "must be between 1.0 and 60.0"),
    ({"repeat": 0}, "repeat", "must be between 1 and 60"),
    ({"loop": "yes"}, "loop", "must be true or false"),
    ({"upscale": 2}, "upscale", "must be one of 1 or 4"),
    ({"sampler": "ddpm"}, "sampler", "must be one of"),
    ({"style": "cubist"}, "style", "must be one of 'flat', 'round'"),
    ({"negative_prompt": "x", "guidance_scale": 1.0}, "negative_prompt", "other than 1"),
    ({"init_image": "nonsense"}, "init_image", "must be the SHA-256"),
    ({"output_format": "avi"}, "output_format", "must be one of 'mp4', 'webp', 'gif'"),
    ({"width": 33}, "width", "is not a parameter here"),
    ({"interpolate": {"to_seed": 1}}, "interpolate", "is not a parameter here"),
    ({"grid": True}, "grid", "is not a parameter here"),
    ({"prompt": " "}, "prompt", "must say something"),
    ({"model": GAN, "frames": 16}, "frames", "must be"),
    ({"model": GAN, "steps": 5}, "steps", "is not a parameter here"),
]


@pytest.mark.parametrize(("asked", "param", "message"), REFUSED)
def test_what_can_not_be_made_is_told(
    video: httpx.Client, asked: dict[str, Any], param: str, message: str
) -> None:
    answer = video.post(URL, json={"prompt": "a dog", **asked})
    assert answer.status_code == 422, answer.text
    error = error_of(answer)
    assert error["param"] == param
    assert message in error["message"]


def test_a_prompt_is_required(video: httpx.Client) -> None:
    answer = video.post(URL, json={})
    assert (answer.status_code, error_of(answer)["param"]) == (422, "prompt")


def test_a_picture_to_set_in_motion_must_be_there(video: httpx.Client) -> None:
    answer = video.post(URL, json={"prompt": "a dog", "init_image": "ab" * 32})
    assert (answer.status_code, error_of(answer)["param"]) == (404, "init_image")


def test_a_model_of_pictures_makes_no_video(video: httpx.Client) -> None:
    answer = video.post(URL, json={"prompt": "a dog", "model": MODEL})
    assert answer.status_code == 404
    assert error_of(answer)["message"] == f"{MODEL} makes image, not video"
