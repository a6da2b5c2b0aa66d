"""Artifacts to files, with what made them written inside: never a job id, never a time.

The same artifact and facts give the same bytes. A picture is one file; frames are two, a contact
sheet and an animation, which is lossless WebP whatever the format of the rest.
"""

import base64
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from app.schemas import PICTURE_FORMATS
from models.artifacts import Artifact, Audio, Image
from models.score import Score

KEY = "atelier"  # of the PNG text chunk
DESCRIPTION = 0x010E  # the EXIF tag ImageDescription
PREVIEW_SIDE = 128  # pixels, at most: previews travel inside events
GAP = 2  # white pixels between the pictures of a sheet
FRAME_MS = 125  # how long an animation shows each frame: 8 a second

Role = Literal["picture", "sheet", "animation"]
Pixels = NDArray[np.uint8]  # (H, W, C)


@dataclass(frozen=True)
class Facts:
    """What made a file: posted again, they repeat it. `n` and `grid` only of a sheet of items."""

    model: str
    checkpoint: str  # sha256
    params: dict[str, Any]
    seed: int
    n: int | None = None
    grid: bool | None = None

    def text(self) -> str:
        told = {name: x for name, x in asdict(self).items() if x is not None}
        return json.dumps(told, sort_keys=True)


@dataclass(frozen=True)
class Sheet:
    """The pictures of a job's items, in order, to be laid out on one sheet."""

    pictures: tuple[Image, ...]


@dataclass(frozen=True)
class Encoded:
    """A file's bytes, and what an output says of them."""

    data: bytes
    content_type: str
    role: Role
    width: int
    height: int
    frames: int | None = None  # of an animation
    notes: tuple[str, ...] = ()


def encode(artifact: Artifact | Sheet, output_format: str, facts: Facts) -> tuple[Encoded, ...]:
    """The files of an artifact, in one of PICTURE_FORMATS."""
    if isinstance(artifact, Image):
        still = _still(_bytes(artifact.pixels), "picture", output_format, facts)
        return (replace(still, notes=artifact.notes),)
    if isinstance(artifact, Sheet):
        tiles = [_bytes(picture.pixels) for picture in artifact.pictures]
        return (_still(_laid_out(tiles), "sheet", output_format, facts),)
    if isinstance(artifact, Audio | Score):
        raise TypeError("there is no file format for sound yet")
    frames = [_bytes(pixels) for pixels in artifact.pixels]
    sheet = _still(_laid_out(frames), "sheet", output_format, facts)
    moving = _animation(frames, facts)
    return tuple(replace(file, notes=artifact.notes) for file in (sheet, moving))


def preview(artifact: Artifact) -> str:
    """A small picture as a data URI; of frames, the last."""
    if isinstance(artifact, Audio | Score):
        raise TypeError("there is no preview of sound yet")
    pixels = artifact.pixels if isinstance(artifact, Image) else artifact.pixels[-1]
    picture = _picture(_bytes(pixels))
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _bytes(pixels: Tensor) -> Pixels:
    """(C, H, W) in [0, 1] to (H, W, C) of 0 to 255."""
    whole = pixels.clamp(0, 1).mul(255).round().byte().cpu()
    array: Pixels = whole.permute(1, 2, 0).contiguous().numpy()
    return array


def _picture(pixels: Pixels) -> Picture.Image:
    return Picture.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _laid_out(tiles: Sequence[Pixels]) -> Pixels:
    """Pictures of one size, row by row on a sheet as near to square as their number allows."""
    height, width, channels = tiles[0].shape
    across = math.ceil(math.sqrt(len(tiles)))
    down = math.ceil(len(tiles) / across)
    shape = (down * (height + GAP) - GAP, across * (width + GAP) - GAP, channels)
    sheet = np.full(shape, 255, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // across * (height + GAP), place % across * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _still(pixels: Pixels, role: Role, output_format: str, facts: Facts) -> Encoded:
    picture, out = _picture(pixels), io.BytesIO()
    WRITERS[output_format](picture, out, facts)
    content_type = f"image/{output_format}"
    return Encoded(out.getvalue(), content_type, role, picture.width, picture.height)


def _animation(frames: Sequence[Pixels], facts: Facts) -> Encoded:
    first, *rest = (_picture(frame).convert("RGB") for frame in frames)
    out = io.BytesIO()
    first.save(
        out,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=FRAME_MS,
        loop=0,  # for ever
        lossless=True,
        exif=_exif(facts),
    )
    size = first.width, first.height
    return Encoded(out.getvalue(), "image/webp", "animation", *size, len(frames))


def _exif(facts: Facts) -> Picture.Exif:
    exif = Picture.Exif()
    exif[DESCRIPTION] = facts.text()
    return exif


def _png(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    info = PngInfo()
    info.add_text(KEY, facts.text())
    picture.save(out, "PNG", compress_level=1, pnginfo=info)


def _webp(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    picture.convert("RGB").save(out, "WEBP", lossless=True, exif=_exif(facts))


def _jpeg(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    picture.save(out, "JPEG", quality=95, subsampling="4:4:4", exif=_exif(facts))


Write = Callable[[Picture.Image, io.BytesIO, Facts], None]
WRITERS: dict[str, Write] = dict(zip(PICTURE_FORMATS, (_png, _webp, _jpeg), strict=True))
