"""A folder of the user's own videos: decoded as they say, and refused with what is wrong."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.data.cache import DataMissing
from training.data.video.clips import clips_in
from training.data.video.decoding import read_clip
from training.data.video.own_clips import build_own_clips, read_captions


def film(path: Path, levels: list[int], fps: int = 10, size: tuple[int, int] = (48, 32)) -> Path:
    """A frame of each grey; MP4 or WebM, by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    with av.open(path, "w") as box:
        stream: Any = box.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for level in levels:
            grey = np.full((size[1], size[0], 3), level, np.uint8)
            box.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        box.mux(stream.encode())
    return path


def animation(path: Path, levels: list[int], spans: int | list[int] = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.new("RGB", (20, 30), (level,) * 3) for level in levels]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=spans)
    return path


def seen(clip: NDArray[np.uint8]) -> list[int]:
    return [int(frame.mean().round()) for frame in clip]


@pytest.mark.parametrize("suffix", ["mp4", "webm", "mov", "mkv"])
def test_films_are_read_evenly(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a.{suffix}", [20 * i for i in range(8)])
    clip = read_clip(path, "a", 4, 16)
    assert (clip.shape, clip.dtype) == ((4, 3, 16, 16), np.uint8)
    assert np.abs(np.array(seen(clip)) - [20, 60, 100, 140]).max() <= 6


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_animations_are_read_by_how_long_each_frame_stands(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a.{suffix}", [0, 100, 200], [100, 100, 600])
    assert np.abs(np.array(seen(read_clip(path, "a", 8, 8))) - [0, 100, *[200] * 6]).max() <= 2


def test_a_rate_takes_frames_from_the_beginning(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [20 * i for i in range(12)])
    clip = read_clip(path, "a", 3, 16, rate=5)
    assert np.abs(np.array(seen(clip)) - [0, 40, 80]).max() <= 6
    with pytest.raises(DataMissing, match=r"a lasts 1\.20 seconds, and 16 frames at 5 a second"):
        read_clip(path, "a", 16, 16, rate=5)


def test_the_middle_square_is_taken(tmp_path: Path) -> None:
    frame = Image.new("RGB", (40, 20), "white")
    frame.paste((0, 0, 0), (10, 0, 30, 20))
    path = tmp_path / "a.gif"
    frame.save(path, save_all=True, append_images=[Image.new("RGB", (40, 20), "black")])
    assert read_clip(path, "a", 2, 8)[0].max() == 0


BROKEN: list[tuple[str, bytes, str]] = [
    ("a.mp4", b"", "a.mp4 is empty"),
    ("a.mp4", b"not a film at all", "a.mp4 is no video, or is broken"),
    ("a.gif", b"GIF89a", "a.gif is no video, or is broken"),
    ("a.webm", b"\x1a\x45\xdf\xa3" + bytes(50), "a.webm is no video, or is broken"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_what_can_not_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataMissing, match=message):
        read_clip(tmp_path / name, name, 4, 16)


def test_a_film_that_is_cut_short_is_named(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [20 * i for i in range(8)])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataMissing, match=r"a\.mp4 is no video, or is broken or cut short"):
        read_clip(path, "a.mp4", 4, 16)


def test_what_does_not_move_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp")
    with pytest.raises(DataMissing, match="does not move"):
        read_clip(tmp_path / "a.webp", "a.webp", 4, 8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    own = tmp_path / "films"
    own.mkdir()
    for number in range(9):
        animation(own / f"red_ball-{number}.gif", [number, 100, 200])
    film(own / "deep/sea.mp4", [0, 50, 100, 150])
    return own


def test_a_folder_becomes_clips_with_captions_by_their_names(folder: Path) -> None:
    built = clips_in(build_own_clips(folder, 4, 8))
    assert built.clips.shape == (10, 4, 3, 8, 8)
    assert set(built.caption.tolist()) == {"red ball", "sea"}
    assert 1 <= built.held_out.sum() < 10


def test_captions_come_from_a_table(folder: Path) -> None:
    names = ["deep/sea.mp4", *(f"red_ball-{number}.gif" for number in range(9))]
    rows = "\n".join(f"{name},caption {i}" for i, name in enumerate(names))
    (folder / "captions.csv").write_text(f"file,caption\n{rows}\n")
    built = clips_in(build_own_clips(folder, 4, 8))
    assert built.caption.tolist() == [f"caption {i}" for i in range(10)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,text\n", "must begin with the line file,caption"),
        ("file,caption\nred_ball-0.gif,\n", "no caption for red_ball-0.gif"),
        ("file,caption\nother.gif,x\n", "names 'other.gif', and there is no such video"),
        ("file,caption\nred_ball-0.gif,x\n", "no caption for deep/sea.mp4"),
    ],
)
def test_a_table_that_does_not_fit_is_told(folder: Path, table: str, message: str) -> None:
    (folder / "captions.csv").write_text(table)
    with pytest.raises(DataMissing, match=message):
        read_captions(folder, ["deep/sea.mp4", "red_ball-0.gif"])


def test_one_bad_file_is_named_and_the_rest_goes_on_later(folder: Path) -> None:
    bad = folder / "zebra.mp4"
    bad.write_bytes(b"nonsense")
    with pytest.raises(DataMissing, match=r"zebra\.mp4 is no video"):
        build_own_clips(folder, 4, 8)
    bad.unlink()
    assert len(clips_in(build_own_clips(folder, 4, 8)).clips) == 10


def test_too_few_are_refused(tmp_path: Path) -> None:
    animation(tmp_path / "a.gif", [0, 1])
    with pytest.raises(DataMissing, match=r"holds 1 video .*at least 8 are needed"):
        build_own_clips(tmp_path, 4, 8)
    with pytest.raises(DataMissing, match="no folder"):
        build_own_clips(tmp_path / "nowhere", 4, 8)
