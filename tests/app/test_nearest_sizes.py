"""`ATELIER_SIZES=nearest`: any size is taken, by the nearest that the model makes."""

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.openai.images.size import nearest_of
from tests.app.serving import Running, eventually
from tests.app.studio import ANY_SIZE, PAINTER, PLAIN, a_studio, opened

FAMILIES = ("latent_diffusion", "stable_diffusion", "video_diffusion")
ANIMATOR = "tiny-video_diffusion"
SQUARES = [(64, 64), (256, 256)]
WAIT = {"Prefer": "wait=60"}


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    own: dict[str, Any] = {"default_video_model": ANIMATOR, "sizes": "nearest"}
    with a_studio(redis_server, tmp_path_factory.mktemp("studio"), FAMILIES, **own) as running:
        yield running


@pytest.fixture
def api(studio: Running) -> httpx.Client:
    return studio.client


@pytest.mark.parametrize(
    ("wanted", "sizes", "nearest"),
    [
        ((512, 512), SQUARES, (256, 256)),  # the largest, if none is as large
        ((256, 256), SQUARES, (256, 256)),
        ((100, 100), SQUARES, (256, 256)),  # the smallest that need not be enlarged
        ((64, 64), SQUARES, (64, 64)),
        ((32, 16), SQUARES, (64, 64)),
        ((1792, 1024), [(256, 256), (64, 40)], (64, 40)),  # proportions first
        ((1024, 1792), [(64, 40), (40, 64)], (40, 64)),
    ],
)
def test_the_nearest_is_of_alike_proportions_and_not_enlarged(
    wanted: tuple[int, int], sizes: list[tuple[int, int]], nearest: tuple[int, int]
) -> None:
    assert nearest_of(wanted, sizes) == nearest
    assert nearest_of(wanted, sizes[::-1]) == nearest


MADE: list[tuple[str, str, dict[str, Any], tuple[int, int]]] = [
    (PAINTER, "auto", {"upscale": 1, "output_size": None}, (32, 32)),
    (PAINTER, "32x32", {"upscale": 1, "output_size": None}, (32, 32)),
    (PAINTER, "128x128", {"upscale": 4, "output_size": None}, (128, 128)),
    (PAINTER, "512x512", {"upscale": 4, "output_size": "512x512"}, (128, 128)),
    (PAINTER, "256x256", {"upscale": 4, "output_size": "256x256"}, (128, 128)),
    (PAINTER, "1024x1024", {"upscale": 4, "output_size": "1024x1024"}, (128, 128)),
    (PAINTER, "1792x1024", {"upscale": 4, "output_size": "1792x1024"}, (128, 128)),
    (PAINTER, "16x16", {"upscale": 1, "output_size": "16x16"}, (32, 32)),
    (PLAIN, "512x512", {"output_size": "512x512"}, (28, 28)),
    (ANY_SIZE, "64x48", {"width": 64, "height": 48, "output_size": None}, (64, 48)),
    (ANY_SIZE, "61x45", {"width": 64, "height": 48, "output_size": "61x45"}, (64, 48)),
    (ANY_SIZE, "512x512", {"width": 128, "height": 128, "output_size": "512x512"}, (128, 128)),
    (ANY_SIZE, "1024x512", {"width": 128, "height": 64, "output_size": "1024x512"}, (128, 64)),
    (ANY_SIZE, "8x16", {"width": 16, "height": 32, "output_size": "8x16"}, (16, 32)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "size", "params", "own"), MADE)
def test_a_result_has_the_size_that_was_asked_for(
    api: httpx.Client, model: str, size: str, params: dict[str, Any], own: tuple[int, int]
) -> None:
    body: dict[str, Any] = {"model": model, "prompt": "" if model == PLAIN else "a dog"}
    body |= {"size": size, "seed": 3} | ({} if model == PLAIN else {"steps": 1})
    answer = api.post("/v1/images/generations", json=body).json()
    (image,) = answer["data"]
    measures = "{}x{}".format(*opened(image["b64_json"]).size)
    assert measures == answer["size"] == (size if size != "auto" else "{}x{}".format(*own))
    job = api.get(f"/jobs/{answer['job_id']}").json()
    assert {name: job["input"][name] for name in params} == params
    (output,) = job["outputs"]
    assert f"{output['width']}x{output['height']}" == measures
    resized = params["output_size"] is not None
    expected = [f"made at {own[0]}x{own[1]}, then resized to {size}"] if resized else []
    assert [note for note in image["notes"] if "resized" in note] == expected
    data = base64.b64decode(image["b64_json"])
    assert hashlib.sha256(data).hexdigest() == output["sha256"]
    assert api.get(output["url"]).content == data


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"size": "1793x64"}, "size 1793x64 can't be made: a side must be between 8 and 1792 pixels"),
    ({"size": "7x64"}, "size 7x64 can't be made: a side must be between 8 and 1792 pixels"),
    ({"size": "99999x99999"}, "size 99999x99999 can't be made: a side must be between"),
    ({"size": "512"}, f"size must be WIDTHxHEIGHT, in pixels, or auto for {PAINTER}"),
    ({"size": "512x512", "upscale": 1}, "size 512x512 and upscale don't go together"),
    ({"size": "512x512", "output_size": "64x64"}, "size 512x512 and output_size don't go"),
    ({"size": "512x512", "interpolate": {"to_seed": 1}}, "size 512x512 can't be made: output_size"),
    ({"size": "1024x1024", "n": 11}, "size 1024x1024 can't be made: n must be at most 10"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED)
def test_what_cannot_be_made_is_refused_as_the_size(
    api: httpx.Client, asked: dict[str, Any], message: str
) -> None:
    body = {"model": PAINTER, "prompt": "a dog", **asked}
    answer = api.post("/v1/images/generations", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "size")
    assert answer.json()["error"]["message"].startswith(message)


LARGE_VIDEOS: list[tuple[dict[str, Any], str]] = [
    ({"output_size": "64x64", "repeat": 7}, "repeat must be at most 6 with this output_size"),
    ({"output_size": "64x513", "frames": 33}, "frames must be at most 32 with this output_size"),
    ({"output_size": "1000x8", "frames": 17}, "frames must be at most 16 with this output_size"),
    ({"output_size": "1000x8", "n": 9}, "n must be at most 8 with this output_size"),
    ({"output_size": "513x8", "output_format": "gif"}, "output_format and output_size don't go"),
]


@pytest.mark.parametrize(("asked", "message"), LARGE_VIDEOS)
def test_what_a_large_video_can_have_is_bounded(
    api: httpx.Client, asked: dict[str, Any], message: str
) -> None:
    answer = api.post("/generate/video", json={"prompt": "a dog", **asked})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith(message)


@pytest.mark.parametrize("size", ["7x8", "8x1793", "08x8", "64", "64x64 ", "auto", "1800x8"])
def test_an_output_size_has_bounds(api: httpx.Client, size: str) -> None:
    body = {"model": PAINTER, "prompt": "a dog", "output_size": size}
    answer = api.post("/generate/text-to-image", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "output_size")


@pytest.mark.slow
def test_the_same_request_gives_the_same_bytes_in_any_company(api: httpx.Client) -> None:
    body = {"model": PAINTER, "prompt": "a dog", "size": "100x60", "steps": 2}

    def hashes(**own: Any) -> list[str]:
        answer = api.post("/v1/images/generations", json={**body, **own})
        job = api.get(f"/jobs/{answer.json()['job_id']}").json()
        return [output["sha256"] for output in job["outputs"]]

    (alone,) = hashes(seed=5)
    with ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(hashes, seed=seed) for seed in (4, 5, 6, 5)]
        runs.append(pool.submit(hashes, seed=5, n=3))
        results = [run.result() for run in runs]
    assert [result[0] == alone for result in results] == [False, True, False, True, True]


@pytest.mark.slow
def test_what_a_file_says_of_itself_repeats_it(api: httpx.Client) -> None:
    body = {"model": PAINTER, "prompt": "a dog", "output_size": "50x40", "steps": 1, "seed": 9}
    job = api.post("/generate/text-to-image", json=body, headers=WAIT).json()
    again = api.post(
        "/generate/text-to-image", json=job["input"] | {"model": PAINTER}, headers=WAIT
    )
    assert again.json()["outputs"][0]["sha256"] == job["outputs"][0]["sha256"]
    picture = opened(base64.b64encode(api.get(job["outputs"][0]["url"]).content).decode())
    facts = json.loads(picture.info["atelier"])
    assert (facts["output_size"], picture.size) == ("50x40", (50, 40))


@pytest.mark.slow
def test_partial_pictures_have_the_proportions_of_the_last(api: httpx.Client) -> None:
    body = {"prompt": "a dog", "size": "512x256", "steps": 12, "stream": True, "partial_images": 2}
    answer = api.post("/v1/images/generations", json=body)
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    *partial, completed = map(json.loads, lines)
    assert completed["type"] == "image_generation.completed"
    assert completed["size"] == "512x256"
    assert opened(completed["b64_json"]).size == (512, 256)
    assert {event["size"] for event in partial} == {"128x64"}


@pytest.mark.slow
def test_a_video_has_the_size_that_was_asked_for(api: httpx.Client) -> None:
    body = {"prompt": "a dog", "size": "1280x720", "steps": 1, "frames": 2, "seed": 1}
    video = api.post("/v1/videos", json=body).json()
    assert video["size"] == "1280x720"

    def is_done() -> bool:
        return bool(api.get(f"/v1/videos/{video['id']}").json()["status"] == "completed")

    assert eventually(is_done, 60)
    done = api.get(f"/v1/videos/{video['id']}").json()
    assert done["size"] == "1280x720"
    assert any("then resized to 1280x720" in note for note in done["notes"])
    poster = api.get(f"/v1/videos/{video['id']}/content", params={"variant": "thumbnail"}).content
    assert opened(base64.b64encode(poster).decode()).size == (1280, 720)


def test_the_document_allows_any_size(api: httpx.Client) -> None:
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    size = schemas[f"{PAINTER}-in-openai"]["properties"]["size"]["anyOf"][0]
    assert "enum" not in size
    assert size["pattern"].startswith("^(auto|")
