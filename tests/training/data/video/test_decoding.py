"""Films are decoded as players show them: turned, in their pace, in proportion and on white."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.data.cache import DataMissing
from training.data.video import decoding
from training.data.video.decoding import read_clip

LEVELS = {(-1, -1): 0, (1, -1): 80, (-1, 1): 160, (1, 1): 240}  # of each quarter, by x and y


def film(path: Path, frames: NDArray[np.uint8], times: list[int], **how: Any) -> Path:
    """Frames (F, H, W, C) at these tenths of a second."""
    settings: dict[str, Any] = {
        "codec": "libx264",
        "pix_fmt": "yuv420p",
        "pixel": Fraction(1),
    } | how
    with av.open(path, "w") as box:
        stream = box.add_stream(settings["codec"], rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = settings["pix_fmt"]
        stream.options = {"auto-alt-ref": "0"} if settings["codec"] == "libvpx" else {}
        stream.codec_context.sample_aspect_ratio = settings["pixel"]
        stream.codec_context.time_base = Fraction(1, 10)
        for pixels, time in zip(frames, times, strict=True):
            kind = "rgba" if pixels.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(pixels, format=kind)
            frame.pts, frame.time_base = time, Fraction(1, 10)
            box.mux(stream.encode(frame))
        box.mux(stream.encode())
    return path


def quarters(count: int = 4) -> NDArray[np.uint8]:
    grid = np.array([[LEVELS[x, y] for x in (-1, 1)] for y in (-1, 1)], np.uint8)
    return np.tile(grid.repeat(16, 0).repeat(16, 1)[None, :, :, None], (count, 1, 1, 3))


def turned(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Writes a display matrix into an MP4: x' = ax + cy, y' = bx + dy."""
    data = bytearray(path.read_bytes())
    one = 1 << 16
    matrix = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *matrix)
    path.write_bytes(data)


MATRICES = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
MIRRORED = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("matrix", MATRICES + MIRRORED)
def test_a_film_is_turned_and_mirrored_as_it_says(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    path = film(tmp_path / "a.mp4", quarters(), [0, 1, 2, 3])
    turned(path, *matrix)
    clip = read_clip(path, "a", 2, 8)
    a, b, c, d = matrix
    for x, y in LEVELS:
        level = int(clip[0, 0, 2 + 2 * y + (y > 0), 2 + 2 * x + (x > 0)])
        assert abs(level - LEVELS[a * x + b * y, c * x + d * y]) <= 12


def test_frames_of_uneven_times_are_taken_evenly(tmp_path: Path) -> None:
    frames = (
        np.full((4, 32, 32, 3), 1, np.uint8)
        * np.array([0, 80, 160, 240], np.uint8)[:, None, None, None]
    )
    path = film(tmp_path / "a.mp4", frames, [0, 6, 7, 8])  # the first stands for most of it
    levels = [int(x.mean()) for x in read_clip(path, "a", 9, 8)]
    assert np.abs(np.array(levels) - [*[0] * 6, 80, 160, 240]).max() <= 6
    from_start = [int(x.mean()) for x in read_clip(path, "a", 8, 8, rate=10)]
    assert np.abs(np.array(from_start) - [*[0] * 6, 80, 160]).max() <= 6


@pytest.mark.parametrize(("pixel", "size"), [(Fraction(2), (32, 16)), (Fraction(1, 2), (16, 32))])
def test_pixels_are_as_wide_as_the_film_says(
    tmp_path: Path, pixel: Fraction, size: tuple[int, int]
) -> None:
    """A disc in a film of 32 by 32 whose file has half as many columns, or rows."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    disc = Image.fromarray(np.where(x**2 + y**2 < 0.5, 0, 255).astype(np.uint8))
    narrow = np.asarray(disc.resize((size[1], size[0])).convert("RGB"))
    path = film(tmp_path / "a.mp4", np.stack([narrow] * 3), [0, 1, 2], pixel=pixel)
    shown = read_clip(path, "a", 2, 32)[0].mean(0)
    expected = np.asarray(disc.resize((32, 32)), float)
    assert np.abs(shown - expected).mean() < 12


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
    ],
)
def test_what_can_be_seen_through_lies_on_white(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    frames = np.zeros((3, 32, 32, 4), np.uint8)
    frames[:, :16, :, 3] = 255  # black above, and nothing below
    path = film(tmp_path / name, frames, [0, 1, 2], codec=codec, pix_fmt=pix_fmt)
    clip = read_clip(path, "a", 2, 8)
    assert clip[:, :, :3].max() <= 20
    assert clip[:, :, 5:].min() >= 235


def test_wide_pixels_count_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mp4", quarters(), [0, 1, 2, 3], pixel=Fraction(2))
    monkeypatch.setattr(decoding, "MOST_PIXELS", 32 * 32)
    with pytest.raises(DataMissing, match="a is too large: 64 by 32 pixels"):
        read_clip(path, "a", 2, 8)


def test_a_film_of_very_many_frames_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mp4", quarters(), [0, 1, 2, 3])
    monkeypatch.setattr(decoding, "MOST_FRAMES", 3)
    with pytest.raises(DataMissing, match="a has more than 3 frames"):
        read_clip(path, "a", 2, 8)
