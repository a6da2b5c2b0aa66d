"""Pictures that clients bring. What can't be used is an UnreadableFile, which says why.

1. Size is judged by the header, before anything is decoded. A decoder sees only what shows
   (`app/core/images/image_bytes.py`).
2. The same file gives the same pixels: upright, 8 bits, grey or RGB, on white, its first frame.
3. One is read at a time in a process. A picture of the largest size takes some 250 MB while it is
   read, and warnings can only be kept quiet for the whole process.
"""

import io
import threading
import warnings
from functools import reduce
from typing import TYPE_CHECKING

from app.core.images.exif import orientation
from app.core.images.image_bytes import BROKEN, JPEG, UnreadableFile, shown

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

__all__ = ["UnreadableFile", "read_alpha", "read_picture"]

KINDS = ("PNG", "JPEG", "GIF", "WEBP")
MOST_PIXELS = 16_000_000
LONGEST_SIDE = 16_384  # pixels
MOST_SCANNED = 128_000_000  # pixels of all scans of a JPEG: each scan goes over all of them
JPEG_ENDS = tuple(rest * 64 + b"\xff\xd9" for rest in (b"", b"\x55", b"\xaa"))
"""Of data that is whole they change nothing that shows; they stand for bits that are missing."""
MOST_DEEP = 8_000_000  # pixels, where one of 16-bit colours can be seen through: decoded twice
WHITE = (255, 255, 255)

_turn = threading.Lock()


def read_picture(data: bytes) -> "Image":
    """The picture in a file, in mode L or RGB. Blocks, for a second at most. Raises Unreadable."""
    with _turn, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _read(data)
        except (UnreadableFile, MemoryError):
            raise
        except Exception:  # a decoder says in a dozen ways that a file is broken
            raise UnreadableFile(BROKEN) from None


def read_alpha(data: bytes) -> "tuple[tuple[int, int], Image | None]":
    """The size of the picture in a file, upright, and its alpha channel in mode L where it has one.

    Blocks, for a second at most. Raises UnreadableFile for whatever `read_picture` refuses.
    """
    picture = read_picture(data)
    if data.startswith(JPEG):
        return picture.size, None
    with _turn, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return picture.size, _alpha(data)


def _alpha(data: bytes) -> "Image | None":
    from PIL import ImageChops

    file = shown(data)
    picture, clear = _decoded(file.data, file.scans)
    exif = picture.info.get("exif") if picture.format == "WEBP" else None
    turned = orientation(exif) if exif else file.orientation
    if clear is not None:
        return _upright(ImageChops.invert(clear), turned)
    if not _can_be_clear(picture):
        return None
    return _upright(picture.convert("RGBA").getchannel("A"), turned)


def _can_be_clear(picture: "Image") -> bool:
    return "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def _read(data: bytes) -> "Image":
    file = shown(data)
    ends = (b"",) if file.ended else JPEG_ENDS
    (picture, clear), *others = (_decoded(file.data + end, file.scans * len(ends)) for end in ends)
    if any(other.tobytes() != picture.tobytes() for other, _ in others):
        raise UnreadableFile(BROKEN)
    exif = picture.info.get("exif") if picture.format == "WEBP" else None
    return _upright(_plain(picture, clear), orientation(exif) if exif else file.orientation)


def _decoded(data: bytes, scans: int) -> "tuple[Image, Image | None]":
    """The picture, and a mask of what can be seen through where only 16 bits say so."""
    picture = _opened(data)
    width, height = picture.size
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise UnreadableFile(f"{_too_large()}, and has {width} by {height}")
    if width * height * scans > MOST_SCANNED:
        raise UnreadableFile(f"has too many scans for a JPEG picture of its size: {scans}")
    colour = picture.info.get("transparency") if picture.format == "PNG" else None
    deep = any(tile.args == "RGB;16B" for tile in picture.tile)
    if deep and colour is not None and width * height > MOST_DEEP:
        raise UnreadableFile(f"must have at most {MOST_DEEP} pixels of 16 bits with a clear colour")
    picture.load()
    if colour is None or not (deep or picture.mode == "I;16"):
        return picture, None
    del picture.info["transparency"]
    return picture, _deep_mask(picture, data, colour)


def _deep_mask(picture: "Image", data: bytes, colour: "int | tuple[int, ...]") -> "Image":
    """255 where a picture of 16 bits has this colour: compared by its high bytes and its low."""
    from PIL import Image, ImageChops

    if isinstance(colour, int):
        raw = picture.tobytes()
        halves = [Image.frombytes("L", picture.size, raw, "raw", way) for way in ("L;16", "L;16B")]
        values = [colour >> 8, colour & 255]
    else:
        low = _opened(data)
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
        halves = [*picture.split(), *low.split()]
        values = [value >> 8 for value in colour] + [value & 255 for value in colour]
    same = [
        half.point([255 * (level == value) for level in range(256)])
        for half, value in zip(halves, values, strict=True)
    ]
    return reduce(ImageChops.darker, same)


def _opened(data: bytes) -> "ImageFile":
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(data), formats=KINDS)
    except UnidentifiedImageError:
        raise UnreadableFile("is not a PNG, JPEG, GIF or WebP picture") from None
    except Image.DecompressionBombError:
        raise UnreadableFile(_too_large()) from None


def _too_large() -> str:
    return f"must have at most {MOST_PIXELS} pixels and {LONGEST_SIDE} a side"


def _plain(picture: "Image", clear: "Image | None") -> "Image":
    """Any mode to L or RGB: 16 bits are scaled, and what can be seen through lies on white."""
    from PIL import Image

    grey = picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I")
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda x: x * (1 / 257) + 0.5).convert("L")
    if _can_be_clear(picture):
        whole = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*WHITE, 255))
        picture = Image.alpha_composite(ground, whole)
    plain = picture.convert("L" if grey else "RGB")
    if clear is not None:
        plain.paste(255 if grey else WHITE, mask=clear)
    return plain


def _upright(picture: "Image", turned: int) -> "Image":
    from PIL import Image

    turn = Image.Transpose
    ways = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    return picture.transpose(ways[turned]) if turned in ways else picture
