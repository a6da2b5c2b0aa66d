"""Pictures that clients bring, read with care: what can't be used is Unreadable, and says why.

1. Size is judged by the header, before anything is decoded.
2. The same file gives the same pixels: upright, 8 bits, grey or RGB, on white, its first frame.
3. One is read at a time in a process. A picture of the largest size takes some 250 MB while it is
   read, and warnings can only be kept quiet for the whole process.
"""

import io
import re
import threading
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = ("PNG", "JPEG", "GIF", "WEBP")
MOST_PIXELS = 16_000_000
LONGEST_SIDE = 16_384  # pixels
MOST_SCANS = 50  # of a progressive JPEG: each is as much work as the whole picture
MOST_SEGMENTS = 10_000  # of a JPEG, scans among them
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # of a JPEG; in a scan's data none can stand
SCAN, END = b"\xda", b"\xd9"
ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}  # of files that decoders take without
BROKEN = "can't be read: the file is broken or cut short"
WHITE = (255, 255, 255)

_turn = threading.Lock()


class Unreadable(ValueError):
    """A file can't be used. The message goes on after the name of the param."""


def read_picture(data: bytes) -> "Image":
    """The picture in a file, in mode L or RGB. Blocks, for a second or two. Raises Unreadable."""
    with _turn, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _read(data)
        except (Unreadable, MemoryError):
            raise
        except Exception:  # a decoder says in a dozen ways that a file is broken
            raise Unreadable(BROKEN) from None


def _read(data: bytes) -> "Image":
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(data), formats=KINDS)
    except UnidentifiedImageError:
        raise Unreadable("is not a PNG, JPEG, GIF or WebP picture") from None
    except Image.DecompressionBombError:
        raise Unreadable(_too_large()) from None
    with picture:
        width, height = picture.size
        if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
            raise Unreadable(f"{_too_large()}, and has {width} by {height}")
        if picture.format in ("JPEG", "MPO") and scans(data) > MOST_SCANS:
            raise Unreadable("has too many scans for a JPEG picture")
        if data.rfind(ENDS.get(picture.format or "", b"")) < 0:
            raise Unreadable(BROKEN)
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return _plain(picture)


def scans(data: bytes) -> int:
    """How many scans a JPEG has, up to its end: phones append films. Raises Unreadable."""
    place, count = 2, 0
    for _ in range(MOST_SEGMENTS):
        found = MARKER.search(data, place)
        if found is None or found[1] == END:
            return count
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
        count += found[1] == SCAN
    raise Unreadable(BROKEN)


def _too_large() -> str:
    return f"must have at most {MOST_PIXELS} pixels and {LONGEST_SIDE} a side"


def _plain(picture: "Image") -> "Image":
    """Any mode to L or RGB: 16 bits are scaled, and what can be seen through lies on white."""
    from PIL import Image

    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda x: x * (1 / 257) + 0.5).convert("L")
    grey = picture.mode in ("1", "L", "LA", "La")
    if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        clear = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*WHITE, 255))
        picture = Image.alpha_composite(ground, clear)
    return picture.convert("L" if grey else "RGB")
