"""Videos from Python and from the command line, over a real API and a real worker."""

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from PIL import Image

from atelier import AsyncClient, Client
from tests.app.serving import Running
from tests.app.studio import a_studio
from tests.atelier.commands import Said, atelier, refused

MOVER = "tiny-video_diffusion"
FEW = ("--steps", "2", "--frames", "4")
Ask = Callable[..., Said]


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("videos")
    with a_studio(redis_server, folder, ("video_diffusion",), default_video_model=MOVER) as running:
        yield running


@pytest.fixture
def ask(studio: Running) -> Ask:
    return lambda *arguments: atelier(*arguments, ATELIER_URL=studio.url)


@pytest.mark.slow
def test_a_client_asks_for_a_video(studio: Running, tmp_path: Path) -> None:
    with Client(studio.url) as client:
        job = client.video("a red apple", seed=7, steps=2, frames=4, repeat=2)
        job.wait(60)
        video, poster, sheet = job.outputs
        assert [x.role for x in job.outputs] == ["video", "poster", "sheet"]
        with av.open(io.BytesIO(video.read())) as box:
            assert len(list(box.decode(video=0))) == 8
        assert (video.data["seconds"], video.data["fps"], video.data["frames"]) == (1.0, 8.0, 8)
        assert Image.open(io.BytesIO(poster.read())).size == (32, 32)
        assert sheet.save(tmp_path / "sheet.png").stat().st_size == sheet.size


def test_so_does_the_async_one(studio: Running) -> None:
    async def all_of_it() -> tuple[str, bytes]:
        async with AsyncClient(studio.url) as client:
            job = await client.video("a dog", steps=2, frames=4, output_format="gif")
            await job.wait(60)
            return job.outputs[0].content_type, await job.outputs[0].read()

    kind, data = asyncio.run(all_of_it())
    assert (kind, data[:6]) == ("image/gif", b"GIF89a")


@pytest.mark.slow
def test_previews_are_strips(studio: Running) -> None:
    with Client(studio.url) as client:
        job = client.video("a dog", steps=6, frames=8)
        seen = [event for event in job.events() if event.name == "preview"]
    assert seen
    assert all(event.data["url"].startswith("data:image/png") for event in seen)


def test_a_command_saves_the_video_and_what_lies_beside_it(ask: Ask, tmp_path: Path) -> None:
    said = ask("generate", "video", "a red apple", *FEW, "--seed", "7", "--out", tmp_path)
    names = [f"{MOVER}-7.mp4", f"{MOVER}-7-poster.png", f"{MOVER}-7-sheet.png"]
    assert [Path(line).name for line in said.out.split()] == names
    assert all((tmp_path / name).is_file() for name in names)


@pytest.mark.parametrize("suffix", ["mp4", "webp", "gif"])
def test_a_file_says_what_made_it_and_is_made_again(ask: Ask, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"made.{suffix}"
    said = ask("generate", "video", "a dog", *FEW, "--repeat", "2", "-o", file)
    assert said.out.split() == [str(file)]
    facts = json.loads(ask("inspect", file).out)
    assert (facts["model"], facts["params"]["repeat"]) == (MOVER, 2)
    assert ask("regenerate", file).out.strip() == "the same bytes"


def test_a_poster_is_made_again_as_well(ask: Ask, tmp_path: Path) -> None:
    ask("generate", "video", "a dog", *FEW, "--seed", "3", "--out", tmp_path)
    poster = tmp_path / f"{MOVER}-3-poster.png"
    assert ask("regenerate", poster).out.strip() == "the same bytes"


def test_a_picture_is_set_in_motion(ask: Ask, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "green").save(tmp_path / "green.png")
    file = tmp_path / "green.mp4"
    ask("generate", "video", "dog", *FEW, "--init-image", tmp_path / "green.png", "-o", file)
    assert len(json.loads(ask("inspect", file).out)["params"]["init_image"]) == 64


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("-o", "x.avi"), 2, "must end in .mp4, .webp, .gif"),
        (("-o", "x.mp4", "-n", "2"), 2, "names one file"),
        (("-o", "x.mp4", "--output-format", "gif"), 2, "not to be gif"),
        (("--fps", "8", "--param", "fps=8"), 2, "fps is an option of its own"),
        (("--frames", "0"), 1, "frames must be between 2 and 64"),
        (("--frames", "10000"), 1, "frames must be between 2 and 64"),
    ],
)
def test_what_can_not_be_is_told(
    studio: Running, options: tuple[str, ...], status: int, message: str
) -> None:
    said = atelier("generate", "video", "a dog", *options, ATELIER_URL=studio.url)
    assert message in refused(said, status)
