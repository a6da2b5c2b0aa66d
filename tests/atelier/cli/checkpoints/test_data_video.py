"""`atelier data video`: clips of the user's own videos, and what is told of what can't be."""

from pathlib import Path

import pytest
from PIL import Image

from tests.atelier.commands import atelier, refused


def films(folder: Path, count: int = 9) -> Path:
    folder.mkdir()
    for number in range(count):
        frames = [Image.new("RGB", (16, 16), (20 * i, number, 0)) for i in range(4)]
        frames[0].save(folder / f"ball-{number}.gif", save_all=True, append_images=frames[1:])
    return folder


def test_own_videos_become_clips(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    options = ("--from", films(tmp_path / "films"), "--frames", "4", "--size", "8")
    said = atelier("data", "video", *options, ATELIER_CACHE=cache)
    folder, *table = said.out.splitlines()
    assert Path(folder).parent == Path(cache)
    assert (Path(folder) / "000.npz").is_file()
    assert table[0].split() == ["group", "clips", "held", "out"]
    assert table[1].split()[:2] == ["own", "9"]
    assert atelier("data", "video", *options, ATELIER_CACHE=cache).out == said.out


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--rate", "8"), 1, "--rate is for a folder of your own"),
        (("--from", "nowhere"), 1, "no folder"),
        (("--frames", "0"), 2, "--frames"),
        (("--frames", "10000"), 2, "--frames"),
    ],
)
def test_what_can_not_be_is_told(
    tmp_path: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    said = atelier("data", "video", *options, ATELIER_CACHE=str(tmp_path))
    assert said.status == status
    assert message in said.err


def test_an_unreadable_video_is_named(tmp_path: Path) -> None:
    folder = films(tmp_path / "films")
    (folder / "bad.mp4").write_bytes(b"no film")
    said = atelier("data", "video", "--from", folder, ATELIER_CACHE=str(tmp_path / "cache"))
    assert refused(said) == "bad.mp4 is no video, or is broken or cut short"
