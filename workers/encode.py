"""Artifacts to files, with what made them written inside: never a job id, never a time.

The same artifact and facts give the same bytes.
"""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from models.artifacts import Image

KEY = "atelier"  # of the PNG text chunk
DESCRIPTION = 0x010E  # the EXIF tag ImageDescription
PREVIEW_SIDE = 128  # pixels, at most: previews travel inside events


@dataclass(frozen=True)
class Facts:
    """What made a file: posted again, they repeat it."""

    model: str
    checkpoint: str  # sha256
    params: dict[str, Any]
    seed: int

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Encoded:
    """A file's bytes, and what an output says of them."""

    data: bytes
    content_type: str
    width: int
    height: int


def encode(artifact: Image, output_format: str, facts: Facts) -> Encoded:
    """The file of an artifact in one of `FORMATS`."""
    picture = _picture(artifact)
    content_type, write = FORMATS[output_format]
    out = io.BytesIO()
    write(picture, out, facts)
    return Encoded(out.getvalue(), content_type, picture.width, picture.height)


def preview(artifact: Image) -> str:
    """A small picture as a data URI."""
    picture = _picture(artifact)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _picture(artifact: Image) -> Picture.Image:
    pixels = artifact.pixels.clamp(0, 1).mul(255).round().byte().cpu()  # (C, H, W)
    array: np.ndarray[Any, Any] = pixels.permute(1, 2, 0).contiguous().numpy()
    return Picture.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def _png(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    info = PngInfo()
    info.add_text(KEY, facts.text())
    picture.save(out, "PNG", compress_level=1, pnginfo=info)


def _webp(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    exif = Picture.Exif()
    exif[DESCRIPTION] = facts.text()
    picture.convert("RGB").save(out, "WEBP", lossless=True, exif=exif)


Write = Callable[[Picture.Image, io.BytesIO, Facts], None]
FORMATS: dict[str, tuple[str, Write]] = {
    "png": ("image/png", _png),
    "webp": ("image/webp", _webp),
}
