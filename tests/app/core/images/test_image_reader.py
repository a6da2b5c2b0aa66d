"""Pictures that clients bring: any mode becomes plain pixels, and what is bad is Unreadable."""

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from app.core.images import image_reader
from app.core.images.image_bytes import (
    MOST_BLOCKS,
    MOST_CHUNKS,
    MOST_SEGMENTS,
    UnreadableFile,
    shown,
)
from app.core.images.image_reader import read_picture

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
    with pytest.raises(UnreadableFile, match="at most 16000000 pixels and 16384 a side"):
        read_picture(header_only_png(width, height))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_short_is_refused(kind: str) -> None:
    data = saved(RGB, kind)
    for end in (0, 1, 10, len(data) // 2, len(data) - 4):
        with pytest.raises(UnreadableFile):
            read_picture(data[:end])


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(99)]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableFile):
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
        except UnreadableFile:
            continue  # anything else would fail the test, a warning too


def test_a_jpeg_of_very_many_scans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is how many pixels all scans go over."""
    data = saved(RGB, "JPEG", progressive=True)
    scans = shown(data).scans
    assert shown(saved(RGB, "JPEG")).scans == 1 < scans
    start = data.index(b"\xff\xda")
    more = data[:start] + data[start:-2] * 50 + data[-2:]
    assert read_picture(more).size == (14, 10)  # it is so small that they are no work
    monkeypatch.setattr(image_reader, "MOST_SCANNED", 140 * scans)
    assert read_picture(data).size == (14, 10)
    with pytest.raises(
        UnreadableFile, match=f"too many scans for a JPEG .* of its size: {scans * 50}"
    ):
        read_picture(more)


def test_what_follows_a_jpeg_is_not_counted_against_it() -> None:
    data = saved(RGB, "JPEG", comment=b"\xff\xda" * 99) + b"\xff\xda" * 99
    assert shown(data).scans == 1
    assert read_picture(data).size == (14, 10)


def test_a_file_of_more_work_than_bytes_is_refused() -> None:
    text, comment = png_chunk(b"tEXt", b"a\0b"), b"\xff\xfe\x00\x02"
    for what, data in (
        ("50000 chunks", parted(after=text * MOST_CHUNKS)),
        ("10000 segments", jpeg(comment * MOST_SEGMENTS)),
        ("250000 blocks", gif(b"!\xfe" + b"\x01a" * MOST_BLOCKS + b"\0")),
        ("250000 blocks", gif(b"!\xfe\0" * (MOST_BLOCKS + 1))),
    ):
        with pytest.raises(UnreadableFile, match=f"has more than {what}"):
            read_picture(data)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def parted(before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG with chunks before and after its pixels."""
    data = saved(RGB, "PNG")
    pixels, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    return data[:pixels] + before + data[pixels:end] + after + data[end:]


def jpeg(segments: bytes) -> bytes:
    data = saved(RGB, "JPEG")
    return data[:2] + segments + data[2:]


def gif(blocks: bytes) -> bytes:
    data = saved(RGB.convert("P"), "GIF")
    head = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:head] + blocks + data[head:]


LARGE = zlib.compress(bytes(2**21))
ODD_CHUNKS = {
    "2 MiB of text": png_chunk(b"zTXt", b"Comment\0\0" + LARGE),
    "2 MiB of profile": png_chunk(b"iCCP", b"profile\0\0" + LARGE),
    "2 MiB of text in UTF-8": png_chunk(b"iTXt", b"a\0\1\0\0\0" + LARGE),
    "a broken profile": png_chunk(b"iCCP", b"profile\0\0no data"),
    "a broken EXIF text": png_chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  zz\nno hex"),
    "a broken checksum": png_chunk(b"tIME", bytes(7))[:-1] + b"!",
    "broken EXIF": png_chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
    "an animation of no frames": png_chunk(b"acTL", bytes(8)),
    "an unknown chunk": png_chunk(b"abCd", b"x"),
}


@pytest.mark.parametrize("what", ODD_CHUNKS)
def test_what_does_not_show_refuses_no_png(what: str) -> None:
    for data in (parted(ODD_CHUNKS[what]), parted(after=ODD_CHUNKS[what])):
        np.testing.assert_array_equal(np.asarray(read_picture(data)), COLOURS)


def test_pixels_with_a_broken_checksum_are_refused() -> None:
    data = bytearray(saved(RGB, "PNG"))
    data[data.index(b"IEND") - 5] ^= 1
    with pytest.raises(UnreadableFile, match="broken or cut short"):
        read_picture(bytes(data))


def exif(*tags: bytes, order: str = "<") -> bytes:
    """An EXIF segment with these tags of 12 bytes each."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    content = b"Exif\0\0" + head + struct.pack(order + "H", len(tags)) + b"".join(tags) + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def tag(number: int, kind: int, count: int, value: int, order: str = "<") -> bytes:
    return struct.pack(order + "HHII", number, kind, count, value)


TURNED = tag(0x0112, 3, 1, 6)
MAKE, RESOLUTION, CAMERA, PLACE = 0x010F, 0x011A, 0x8769, 0x8825
ODD_TAGS = {
    "no other": (),
    "a text as a fraction": (tag(MAKE, 5, 1, 8),),
    "a text of no type": (tag(MAKE, 0, 1, 8),),
    "a text far away": (tag(MAKE, 2, 500, 0x7FFFFFFF),),
    "a text of gigabytes": (tag(MAKE, 2, 0xFFFFFFFF, 0),),
    "a fraction over zero": (tag(RESOLUTION, 5, 1, 60),),
    "a directory in itself": (tag(CAMERA, 4, 1, 8),),
    "a place that is none": (tag(PLACE, 2, 4, 0x31323334),),
    "the whole segment a thousand times": (tag(MAKE, 7, 12_000, 8),) * 1000,
}


@pytest.mark.parametrize("what", ODD_TAGS)
def test_a_turned_photo_stands_upright_whatever_its_other_tags_are(what: str) -> None:
    upright = np.rot90(np.asarray(read_picture(jpeg(b""))), -1)
    for tags in ((TURNED, *ODD_TAGS[what]), (*ODD_TAGS[what], TURNED)):
        np.testing.assert_array_equal(np.asarray(read_picture(jpeg(exif(*tags)))), upright)


@pytest.mark.parametrize(
    ("segment", "size"),
    [
        (exif(tag(0x0112, 4, 1, 6)), (10, 14)),
        (exif(tag(0x0112, 3, 2, 0x60006)), (10, 14)),
        (exif(struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0), order=">"), (10, 14)),
        (
            exif(TURNED)
            .replace(b"Exif\0\0", b"Exif\0\0" * 2)
            .replace(b"\xe1\0\x22", b"\xe1\0\x28"),
            (10, 14),
        ),
        (exif(tag(0x0112, 2, 2, 0x36)), (14, 10)),
        (exif(tag(0x0112, 3, 1, 9)), (14, 10)),
        (exif(tag(0x0112, 3, 0, 6)), (14, 10)),
        (exif(TURNED).replace(b"II*", b"II+"), (14, 10)),
        (b"\xff\xe1\x00\x08Exif\0\0", (14, 10)),
        (b"\xff\xe1\x00\x02", (14, 10)),
    ],
)
def test_orientation_is_read_where_viewers_read_it(segment: bytes, size: tuple[int, int]) -> None:
    assert read_picture(jpeg(segment)).size == size


@pytest.mark.parametrize("turned", range(1, 9))
def test_every_orientation_is_as_pillow_has_it(turned: int) -> None:
    data = jpeg(exif(tag(0x0112, 3, 1, turned)))
    with Image.open(io.BytesIO(data)) as picture:
        assert pixels(data) == np.asarray(ImageOps.exif_transpose(picture)).tolist()


def test_a_jpeg_without_its_end_is_read_if_nothing_of_it_is_missing() -> None:
    for options in ({}, {"progressive": True}):
        data = saved(RGB.resize((64, 64)), "JPEG", **options)
        assert pixels(data[:-2]) == pixels(data)
        for end in (4, 5, 6, 20):
            with pytest.raises(UnreadableFile, match="broken or cut short"):
                read_picture(data[:-end])


def deep(kind: int, rows: list[list[int]], clear: list[int]) -> bytes:
    """A PNG of 16 bits, of kind 0 (grey) or 2 (RGB), with a colour that can be seen through."""
    channels = 3 if kind else 1
    raw = b"".join(b"\0" + struct.pack(f">{len(row)}H", *row) for row in rows)
    size = struct.pack(">IIBBBBB", len(rows[0]) // channels, len(rows), 16, kind, 0, 0, 0)
    parts = [(b"IHDR", size), (b"tRNS", struct.pack(f">{channels}H", *clear))]
    parts += [(b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in parts)


def test_of_16_bits_just_the_clear_colour_lies_on_white() -> None:
    grey = deep(0, [[1000, 1001, 1256, 65535]], [1000])
    assert pixels(grey) == [[255, 4, 5, 255]]
    colours = [0x0102, 0x0304, 0x0506, 0x0102, 0x0304, 0x0507, 0x0202, 0x0304, 0x0506]
    assert pixels(deep(2, [colours], colours[:3])) == [[[255] * 3, [1, 3, 5], [2, 3, 5]]]


def test_what_is_left_out_of_a_gif_changes_no_pixel() -> None:
    frames = [Image.new("P", (14, 10), i) for i in range(3)]
    data = saved(RGB.convert("P"), "GIF", save_all=True, append_images=frames, transparency=3)
    data = data[:-1] + b"!\xfe\x04text\0" * 99 + b";"
    with Image.open(io.BytesIO(data)) as whole:
        ground = Image.new("RGBA", whole.size, "white")
        expected = Image.alpha_composite(ground, whole.convert("RGBA")).convert("RGB")
    assert pixels(data) == np.asarray(expected).tolist()
    assert len(shown(data).data) < len(data) - 99 * 8
