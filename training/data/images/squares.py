"""Any picture to a square of one size and so many channels, as a set of mixed pictures needs.

Upright as its EXIF says, its first frame, transparency laid on white, sixteen bits scaled to
eight, the middle square, resized by LANCZOS.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch import Tensor

from training.data.cache import DataMissing

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"}
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MOST_PIXELS = 80_000_000
MODES = {1: "L", 3: "RGB"}  # by the number of channels
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the orientation in EXIF data."""


def read_square(path: Path, name: str, size: int, channels: int) -> NDArray[np.uint8]:
    """The picture in a file, (channels, size, size). Raises DataMissing, which calls it `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures, which are measured below
        try:
            with Image.open(path, formats=FORMATS) as picture:
                _measure(picture, name)
                # a JPEG is decoded at a fraction of its size if that is still large enough
                picture.draft(None, (4 * size, 4 * size))
                return square(picture, size, channels)
        except (DataMissing, MemoryError):
            raise
        except Image.DecompressionBombError:
            raise DataMissing(f"{name} is too large: more than {MOST_PIXELS} pixels") from None
        except Exception:  # a decoder says in a dozen ways that a file is broken
            raise DataMissing(f"{name} is no picture, or is broken or cut short") from None


def _measure(picture: Image.Image, name: str) -> None:
    """By the header, before anything is decoded."""
    if picture.width * picture.height > MOST_PIXELS:
        raise DataMissing(f"{name} is too large: {picture.width} by {picture.height} pixels")


def square(picture: Image.Image, size: int, channels: int) -> NDArray[np.uint8]:
    """(channels, size, size): the middle of a picture in any mode."""
    plain = _on_white(_eight_bits(_upright(picture))).convert(MODES[channels])
    side = min(plain.size)
    left, top = (plain.width - side) // 2, (plain.height - side) // 2
    middle = plain.crop((left, top, left + side, top + side))
    plain = middle.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(plain).reshape(size, size, channels).transpose(2, 0, 1)


def squares(pictures: Tensor, size: int, channels: int) -> Tensor:
    """(N, C, H, W) uint8, C 1 or 3, to (N, channels, size, size): the same tensor if it fits."""
    if pictures.shape[1:] == (channels, size, size):
        return pictures
    rows = np.empty((len(pictures), channels, size, size), np.uint8)
    for row, picture in zip(rows, pictures.numpy(), strict=True):
        row[:] = square(image_of(picture), size, channels)
    return torch.from_numpy(rows)


def image_of(picture: NDArray[np.uint8]) -> Image.Image:
    """From an array (C, H, W), C 1 or 3."""
    return Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0))


def _upright(picture: Image.Image) -> Image.Image:
    """As its EXIF says. Other tags may be broken: nothing of them is written again."""
    picture.load()
    try:
        turned = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # what viewers show without turning it
        return picture
    return picture.transpose(TURNS[turned]) if turned in TURNS else picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Pillow itself would cut sixteen bits off at 255."""
    if not picture.mode.startswith("I"):
        return picture
    scaled = np.asarray(picture).clip(0, 65535) / 257
    return Image.fromarray(scaled.round().astype(np.uint8))


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    clear = picture.convert("RGBA")
    page = Image.new("RGBA", clear.size, "white")
    page.alpha_composite(clear)
    return page
