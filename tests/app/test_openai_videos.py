"""/v1/videos as the real openai package asks it, over a real worker."""

import asyncio
import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import openai
import pytest
from PIL import Image

from tests.app import stock_video_client
from tests.app.serving import Running
from tests.app.studio import PLAIN, a_studio
from tests.app.test_generate import error_of
from tests.app.test_openai_clients import second

__all__ = ["second"]  # a fixture

MOVER, GAN = "tiny-video_diffusion", "tiny-video_gan"
URL = "/v1/videos"
FAST = {"steps": 2, "frames": 8}
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")  # OpenAI's own


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("videos")
    families = ("video_diffusion", "video_gan")
    with a_studio(redis_server, folder, families, default_video_model=MOVER) as running:
        yield running


@pytest.fixture
def client(studio: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", max_retries=0) as created:
        yield created


def created(client: openai.OpenAI, prompt: str = "a red apple", **asked: Any) -> Any:
    own = {} if asked.get("model") == GAN else FAST
    fields: dict[str, Any] = {"extra_body": {**own, **asked.pop("extra_body", {})}}
    return client.videos.create_and_poll(prompt=prompt, poll_interval_ms=20, **fields, **asked)


def frames_of(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as box:
        return len(list(box.decode(video=0)))


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "PNG")
    return out.getvalue()


@pytest.mark.slow
def test_a_video_is_made_polled_and_fetched(studio: Running, client: openai.OpenAI) -> None:
    video = created(client, extra_body={"seed": 7, "sampler": "euler", "negative_prompt": "dog"})
    assert (video.object, video.status, video.progress) == ("video", "completed", 100)
    assert (video.model, video.prompt, video.seconds) == (MOVER, "a red apple", "1")
    assert (video.size, video.error, video.remixed_from_video_id) == ("32x32", None, None)
    assert video.completed_at >= video.created_at
    job = studio.client.get(f"/jobs/{video.job_id}").json()
    assert job["input"].items() >= {"seed": 7, "sampler": "euler", "negative_prompt": "dog"}.items()
    content = client.videos.download_content(video.id)
    assert content.response.headers["content-type"] == "video/mp4"
    assert frames_of(content.read()) == 8
    outputs = {o["role"]: studio.client.get(o["url"]).content for o in job["outputs"]}
    assert content.read() == outputs["video"]
    for variant, role in (("thumbnail", "poster"), ("spritesheet", "sheet")):
        variant_content = client.videos.download_content(video.id, variant=variant)  # type: ignore[arg-type]
        assert variant_content.read() == outputs[role]
        assert variant_content.read().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("major", ["2", "3"])
def test_both_versions_of_the_client_are_served(
    studio: Running, major: str, request: pytest.FixtureRequest
) -> None:
    if major == "3":
        got = stock_video_client.tried(studio.url)
    else:
        environment = os.environ | {"PYTHONPATH": request.getfixturevalue("second")}
        process_output = subprocess.run(
            [sys.executable, "-P", str(Path(stock_video_client.__file__)), studio.url],
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert process_output.returncode == 0, process_output.stderr
        got = json.loads(process_output.stdout)
    assert got["version"].partition(".")[0] == major
    assert got["video"] == ["completed", 100, "4", "32x32"]
    video, *pictures = (base64.b64decode(data) for data in got["content"])
    assert frames_of(video) == 32
    assert all(data.startswith(b"\x89PNG") for data in pictures)
    assert got["listed"]
    assert got["deleted"] == [True, True, "video.deleted"]
    assert got["after"] == ["NotFoundError", 404, "job_not_found"]


def test_seconds_are_whole_loops(client: openai.OpenAI) -> None:
    video = created(client, seconds="4")
    assert video.seconds == "4"
    assert frames_of(client.videos.download_content(video.id).read()) == 32
    assert created(client, seconds="1", extra_body={"fps": 16}).seconds == "1"


def test_videos_are_larger_if_asked(client: openai.OpenAI) -> None:
    video = created(client, model=GAN, size="128x128")
    assert video.size == "128x128"
    data = client.videos.download_content(video.id, variant="thumbnail").read()
    assert Image.open(io.BytesIO(data)).size == (128, 128)


def test_a_picture_is_set_in_motion(studio: Running, client: openai.OpenAI) -> None:
    video = created(client, input_reference=("red.png", picture(), "image/png"))
    assert video.status == "completed"
    job = studio.client.get(f"/jobs/{video.job_id}").json()
    assert len(job["input"]["init_image"]) == 64
    other = created(client, extra_body={"seed": job["seed"]})
    contents = [client.videos.download_content(v.id).read() for v in (video, other)]
    assert contents[0] != contents[1]


@pytest.mark.slow
def test_videos_are_listed_and_deleted(studio: Running, client: openai.OpenAI) -> None:
    for video in list(client.videos.list()):
        client.videos.delete(video.id)
    one, two = created(client), created(client, model=GAN)
    studio.client.post("/generate/image", json={"model": PLAIN})
    assert [v.id for v in client.videos.list()] == [two.id, one.id]
    assert [v.id for v in client.videos.list(order="asc", limit=1)] == [one.id, two.id]
    assert [v.id for v in client.videos.list(after=two.id)] == [one.id]
    gone = client.videos.delete(one.id)
    assert (gone.id, gone.object, gone.deleted) == (one.id, "video.deleted", True)
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(one.id)
    assert [v.id for v in client.videos.list()] == [two.id]


def test_the_async_client_does_the_same(studio: Running) -> None:
    async def all_of_it() -> tuple[Any, bytes]:
        base = f"{studio.url}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0) as client:
            video = await client.videos.create_and_poll(
                prompt="a dog", poll_interval_ms=20, extra_body=FAST
            )
            return video, (await client.videos.download_content(video.id)).read()

    video, data = asyncio.run(all_of_it())
    assert (video.status, frames_of(data)) == ("completed", 8)


def test_json_is_taken_as_well(studio: Running) -> None:
    body = {"prompt": "a dog", "seconds": "2", "metadata": {"mine": "yes"}, **FAST}
    answer = studio.client.post(URL, json=body)
    assert answer.status_code == 200, answer.text
    video = answer.json()
    assert (video["status"], video["seconds"], video["progress"]) == ("queued", "2", 0)
    assert studio.client.get(f"/jobs/{video['job_id']}").json()["metadata"] == {"mine": "yes"}


def test_a_form_says_numbers_flags_and_objects_in_words(studio: Running) -> None:
    strings = {"steps": "2", "frames": "8", "loop": "false", "guidance_scale": "2.5", "seed": "9"}
    form = {"prompt": (None, "7"), **{k: (None, v) for k, v in strings.items()}}
    answer = studio.client.post(URL, files={**form, "metadata[mine]": (None, "1")})
    assert answer.status_code == 200, answer.text
    job = studio.client.get(f"/jobs/{answer.json()['job_id']}").json()
    fields = {"prompt": "7", "steps": 2, "loop": False, "guidance_scale": 2.5, "seed": 9}
    assert job["input"].items() >= fields.items()
    assert job["metadata"] == {"mine": "1"}


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"seconds": "3"}, 400, "seconds", "must be a multiple of 2"),
    ({"seconds": "0"}, 400, "seconds", "must be a multiple of 2"),
    ({"seconds": "long"}, 400, "seconds", "must be a number"),
    ({"seconds": "2", "repeat": 3}, 400, "seconds", "don't go together"),
    ({"seconds": "4000"}, 400, "seconds", "is too long"),
    ({"size": "720x1280"}, 400, "size", "must be 32x32, 128x128 or auto"),
    ({"frames": 0}, 422, "frames", "must be between 2 and 64"),
    ({"frames": 10_000}, 422, "frames", "must be between 2 and 64"),
    ({"fps": "fast"}, 422, "fps", "must be a number"),
    ({"colour": "red"}, 422, "colour", "is not a parameter here"),
    ({"prompt": None}, 422, "prompt", "must be a string"),
    ({"input_reference": "http://x/y.png"}, 422, "input_reference", "must be a file in a form"),
    ({"seconds": 10**310}, 400, "seconds", "must be a multiple of 2"),
    ({"seconds": [4]}, 422, "seconds", "must be a number"),
    ({"seconds": True}, 422, "seconds", "must be a number"),
    ({"seconds": "9" * 310}, 400, "seconds", "must be a multiple of 2"),
    ({"seconds": "nan"}, 400, "seconds", "must be a number"),
    ({"seconds": "4", "frames": 10**310}, 422, "frames", "must be between 2 and 64"),
    ({"seconds": "4", "fps": 10**310}, 422, "fps", "must be a finite number"),
    ({"seconds": "4", "fps": -(10**310)}, 422, "fps", "must be a finite number"),
    ({"steps": 10**310}, 422, "steps", "must be between"),
    ({"seed": 10**310}, 422, "seed", "must be between"),
    ({"model": PLAIN}, 404, "model", "makes image, not video"),
    ({"model": "nobody"}, 404, "model", "there is no model"),
    ({"model": 3}, 422, "model", "must be a string"),
]


@pytest.mark.parametrize(("asked", "status", "param", "message"), REFUSED)
def test_what_can_not_be_made_is_told(
    studio: Running, asked: dict[str, Any], status: int, param: str, message: str
) -> None:
    answer = studio.client.post(URL, json={"prompt": "a dog", **asked})
    assert answer.status_code == status, answer.text
    error = error_of(answer)
    assert error["param"] == param
    assert message in error["message"]


DEEP = "[" * 60_000
FORMS: list[tuple[dict[str, str], str]] = [
    ({"steps": DEEP}, "steps"),
    ({"guidance_scale": '{"a":' * 10_000}, "guidance_scale"),
    ({"steps": "9" * 310}, "steps"),
    ({"steps": "9" * 5_000}, "steps"),
    ({"frames": "9" * 310, "seconds": "4"}, "frames"),
    ({"guidance_scale": "NaN"}, "guidance_scale"),
    ({"metadata": "x", "metadata[a]": "y"}, "metadata"),
    ({"metadata[a]": "y", "metadata": "{}"}, "metadata"),
    ({"metadata[a][b]": "y"}, "metadata[a][b]"),
    ({"metadata[]": "y"}, "metadata[]"),
    ({"[a]": "y"}, "[a]"),
    ({"prompt[a]": "y"}, "prompt"),
    ({"steps[a]": DEEP}, "steps"),
    ({"model[a]": "y"}, "model"),
]


@pytest.mark.parametrize(("fields", "param"), FORMS, ids=lambda x: str(x)[:40])
def test_a_form_that_can_not_be_read_is_told(
    studio: Running, fields: dict[str, str], param: str
) -> None:
    form = {name: (None, text) for name, text in {"prompt": "a dog", **fields}.items()}
    answer = studio.client.post(URL, files=form)
    assert (answer.status_code, error_of(answer)["param"]) == (422, param), answer.text


def test_a_form_that_is_too_large_says_where(studio: Running) -> None:
    for form, message in (
        ({"prompt": (None, "a" * 100_000)}, "Part exceeded maximum size of 64KB"),
        ({str(number): (None, "a") for number in range(65)}, "Maximum number of fields is 64"),
    ):
        answer = studio.client.post(URL, files=form)  # type: ignore[arg-type]
        assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_parameter")
        assert message in error_of(answer)["message"]


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-7", "zlib", "utf-16"])
def test_a_form_is_in_utf_8(studio: Running, charset: str) -> None:
    kind = {"Content-Type": f"multipart/form-data; boundary=B; charset={charset}"}
    for path, name in ((URL, "prompt"), ("/artifacts", r"\ud800")):
        body = f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\na\r\n--B--\r\n'
        answer = studio.client.post(path, content=body, headers=kind)
        assert (answer.status_code, error_of(answer)["code"]) == (415, "unsupported_media_type")


def test_a_file_that_is_no_picture_is_refused(studio: Running) -> None:
    def posted(name: str, content: bytes, model: str = MOVER) -> httpx.Response:
        form = {"prompt": (None, "a dog"), "model": (None, model)}
        return studio.client.post(URL, files={**form, name: ("x.png", content, "image/png")})

    assert posted("input_reference", b"no picture").status_code == 415
    cut = posted("input_reference", picture()[:60])
    assert (cut.status_code, error_of(cut)["param"]) == (422, "init_image")
    empty = posted("input_reference", b"")
    assert (empty.status_code, error_of(empty)["param"]) == (422, "input_reference")
    elsewhere = posted("picture", picture())
    assert (elsewhere.status_code, error_of(elsewhere)["param"]) == (422, "picture")
    still = posted("input_reference", picture(), GAN)
    assert (still.status_code, error_of(still)["code"]) == (422, "unknown_parameter")


def test_content_comes_in_ranges(studio: Running, client: openai.OpenAI) -> None:
    video = created(client)
    whole = client.videos.download_content(video.id).read()
    url = f"{URL}/{video.id}/content"
    partial = studio.client.get(url, headers={"Range": "bytes=10-19"})
    assert (partial.status_code, partial.content) == (206, whole[10:20])
    assert partial.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert studio.client.get(url, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    seen = studio.client.get(url).headers["etag"]
    assert studio.client.get(url, headers={"If-None-Match": seen}).status_code == 304
    assert studio.client.get(url, params={"variant": "audio"}).status_code == 422


@pytest.mark.parametrize("name", ["video_x", "job_01K5X9ZQ3J7Q2M4N6P8R0S1T2V", "nonsense"])
def test_what_is_no_video_is_not_found(studio: Running, name: str) -> None:
    for path in (f"{URL}/{name}", f"{URL}/{name}/content"):
        assert studio.client.get(path).status_code == 404
    assert studio.client.delete(f"{URL}/{name}").status_code == 404


def test_a_picture_is_no_video(studio: Running) -> None:
    job = studio.client.post("/generate/image", json={"model": PLAIN}).json()["id"]
    assert studio.client.get(f"{URL}/{job.replace('job_', 'video_')}").status_code == 404


def test_a_video_on_its_way_has_no_content_yet(studio: Running) -> None:
    long = studio.client.post(URL, json={"prompt": "a dog", "steps": 1000, "frames": 64}).json()
    early = studio.client.get(f"{URL}/{long['id']}/content")
    assert (early.status_code, error_of(early)["code"]) == (409, "result_not_ready")
    assert early.headers["x-should-retry"] == "false"
    studio.client.post(f"/jobs/{long['job_id']}/cancel")
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none") as client:
        ended = client.videos.poll(long["id"], poll_interval_ms=20)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.code == "canceled"
    canceled = studio.client.get(f"{URL}/{long['id']}/content")
    assert (canceled.status_code, error_of(canceled)["code"]) == (409, "canceled")


def test_the_same_key_makes_one_video(studio: Running) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = (
        studio.client.post(URL, json={"prompt": "a dog", **FAST}, headers=headers) for _ in range(2)
    )
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
