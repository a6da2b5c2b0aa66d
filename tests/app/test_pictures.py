"""Pictures that clients bring: any mode becomes plain pixels, and what is bad is Unreadable."""

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.pictures import MOST_SCANS, Unreadable, read_picture, scans

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
COLOURS = np.random.default_rng(0).integers(0, 256, (10, 14, 3), dtype=np.uint8)
RGB = Image.fromarray(COLOURS)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def pixels(data: bytes) -> Any:
    return np.asarray(read_picture(data)).tolist()


def header_only_png(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and has hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_colours_come_back_as_they_are(kind: str) -> None:
    read = read_picture(saved(RGB, kind, lossless=True))
    assert read.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(read), COLOURS)


@pytest.mark.parametrize(
    ("mode", "kind", "read_as"),
    [
        ("1", "PNG", "L"),
        ("L", "JPEG", "L"),
        ("LA", "PNG", "L"),
        ("P", "PNG", "RGB"),
        ("P", "GIF", "RGB"),
        ("RGBA", "WEBP", "RGB"),
        ("CMYK", "JPEG", "RGB"),
    ],
)
def test_every_mode_becomes_grey_or_rgb(mode: str, kind: str, read_as: str) -> None:
    assert read_picture(saved(RGB.convert(mode), kind)).mode == read_as


def test_what_can_be_seen_through_lies_on_white() -> None:
    picture = Image.new("RGBA", (3, 1), (255, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 255, 255))
    picture.putpixel((2, 0), (0, 0, 0, 51))
    assert pixels(saved(picture, "PNG")) == [[[255, 255, 255], [0, 0, 255], [204, 204, 204]]]
    palette = RGB.convert("P")
    clear = palette.getpixel((3, 4))
    through = np.asarray(read_picture(saved(palette, "PNG", transparency=clear)))
    assert through[4, 3].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    assert pixels(saved(Image.fromarray(deep), "PNG")) == [[0, 1, 128, 255]]


def test_a_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    for kind in ("JPEG", "PNG", "WEBP"):
        assert read_picture(saved(RGB, kind, exif=exif)).size == (10, 14)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_a_moving_picture_the_first_frame_counts(kind: str) -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    data = saved(first, kind, save_all=True, append_images=[second], lossless=True)
    assert pixels(data)[0][0] == [255, 0, 0]


@pytest.mark.parametrize(
    ("width", "height"), [(4001, 4000), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (16_385, 1)]
)
def test_a_picture_too_large_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(Unreadable, match="at most 16000000 pixels and 16384 a side"):
        read_picture(header_only_png(width, height))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_short_is_refused(kind: str) -> None:
    data = saved(RGB, kind)
    for end in (0, 1, 10, len(data) // 2, len(data) - 4):
        with pytest.raises(Unreadable):
            read_picture(data[:end])


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(99)]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_picture(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_broken_file_is_unreadable_and_nothing_else(kind: str) -> None:
    rng, data = random.Random(0), saved(RGB.resize((64, 64)), kind)
    for _ in range(200):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 20)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            read_picture(bytes(broken))
        except Unreadable:
            continue  # anything else would fail the test, a warning too


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    data = saved(RGB, "JPEG", progressive=True)
    assert scans(saved(RGB, "JPEG")) == 1 < scans(data) < MOST_SCANS
    start = data.index(b"\xff\xda")
    with pytest.raises(Unreadable, match="too many scans"):
        read_picture(data[:start] + data[start:-2] * MOST_SCANS + data[-2:])


def test_what_follows_a_jpeg_is_not_counted_against_it() -> None:
    data = saved(RGB, "JPEG", comment=b"\xff\xda" * 99) + b"\xff\xda" * 99
    assert scans(data) == 1
    assert read_picture(data).size == (14, 10)
