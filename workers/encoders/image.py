"""Pictures to files: one is one file; frames are two, a contact sheet and an animation, which is
lossless WebP whatever the format of the rest."""

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from models.artifacts import Frames, Image
from models.modalities import PICTURE_FORMATS, Role
from workers.encoders.resize import Pixels, Size, note_of, read_size, resized
from workers.encoders.types import Encoded, Facts, Sheet

KEY = "atelier"  # of the PNG text chunk
DESCRIPTION = 0x010E  # the EXIF tag ImageDescription
PREVIEW_SIDE = 128  # pixels, at most: previews travel inside events
STRIP = 4  # frames of a video side by side in a preview
GAP = 2  # white pixels between the pictures of a sheet
FRAME_MS = 125  # how long an animation shows each frame: 8 a second


def picture_file(image: Image, output_format: str, facts: Facts) -> Encoded:
    pixels = eight_bits(image.pixels)
    (shown,), notes = in_output_size([pixels], facts)
    return replace(still_file(shown, "picture", output_format, facts), notes=notes)


def in_output_size(frames: list[Pixels], facts: Facts) -> tuple[list[Pixels], tuple[str, ...]]:
    """Frames in the size that was asked for, if one was, and what to note of that."""
    if facts.output_size is None:
        return frames, ()
    height, width = frames[0].shape[:2]
    size = read_size(facts.output_size)
    if size == (width, height):
        return frames, ()
    return resized(frames, size), (note_of((width, height), size),)


def sheet_file(sheet: Sheet, output_format: str, facts: Facts) -> Encoded:
    tiles = [eight_bits(picture.pixels) for picture in sheet.pictures]
    return still_file(laid_out(tiles), "sheet", output_format, facts)


def frame_files(moving: Frames, output_format: str, facts: Facts) -> tuple[Encoded, Encoded]:
    frames = [eight_bits(pixels) for pixels in moving.pixels]
    sheet = still_file(laid_out(frames), "sheet", output_format, facts)
    return sheet, _animation(frames, facts)


def small_picture(pixels: Tensor, output_size: str | None = None) -> str:
    """Pixels (C, H, W) in [0, 1], reduced where they are many, as a data URI; in the proportions of
    an `output_size`."""
    shown = eight_bits(pixels)
    if output_size is not None:
        (shown,) = resized([shown], _reduced(read_size(output_size)))
    picture = picture_of(shown)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _reduced(size: Size) -> Size:
    """The same proportions, of at most PREVIEW_SIDE a side."""
    scale = min(1.0, PREVIEW_SIDE / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def strip(pixels: Tensor) -> Tensor:
    """Frames (F, C, H, W) side by side, (C, H, F W): at most STRIP of them, evenly chosen."""
    some = pixels[:: -(-len(pixels) // STRIP)]
    return some.permute(1, 2, 0, 3).flatten(2)


def eight_bits(pixels: Tensor) -> Pixels:
    """(C, H, W) in [0, 1] to (H, W, C) of 0 to 255."""
    whole = pixels.clamp(0, 1).mul(255).round().byte().cpu()
    array: Pixels = whole.permute(1, 2, 0).contiguous().numpy()
    return array


def picture_of(pixels: Pixels) -> Picture.Image:
    return Picture.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def laid_out(tiles: Sequence[Pixels]) -> Pixels:
    """Pictures of one size, row by row on a sheet as near to square as their number allows."""
    height, width, channels = tiles[0].shape
    across = math.ceil(math.sqrt(len(tiles)))
    down = math.ceil(len(tiles) / across)
    shape = (down * (height + GAP) - GAP, across * (width + GAP) - GAP, channels)
    sheet = np.full(shape, 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // across * (height + GAP), index % across * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def still_file(pixels: Pixels, role: Role, output_format: str, facts: Facts) -> Encoded:
    picture, out = picture_of(pixels), io.BytesIO()
    WRITERS[output_format](picture, out, facts)
    content_type = f"image/{output_format}"
    return Encoded(out.getvalue(), content_type, role, picture.width, picture.height)


def _animation(frames: Sequence[Pixels], facts: Facts) -> Encoded:
    data = animated_webp(frames, FRAME_MS, 0, facts)
    high, wide = frames[0].shape[:2]
    return Encoded(data, "image/webp", "animation", wide, high, len(frames))


def animated_webp(
    frames: Sequence[Pixels], duration: int | list[int], loop: int, facts: Facts
) -> bytes:
    """A lossless animation. `duration` is in milliseconds, of each frame or of all; `loop` is how
    often it plays, 0 for ever."""
    first, *rest = (picture_of(frame).convert("RGB") for frame in frames)
    out = io.BytesIO()
    first.save(
        out,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=duration,
        loop=loop,
        lossless=True,
        exif=exif_of(facts),
    )
    return out.getvalue()


def exif_of(facts: Facts) -> Picture.Exif:
    exif = Picture.Exif()
    exif[DESCRIPTION] = facts.text()
    return exif


def _png(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    info = PngInfo()
    info.add_text(KEY, facts.text())
    picture.save(out, "PNG", compress_level=1, pnginfo=info)


def _webp(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    picture.convert("RGB").save(out, "WEBP", lossless=True, exif=exif_of(facts))


def _jpeg(picture: Picture.Image, out: io.BytesIO, facts: Facts) -> None:
    picture.save(out, "JPEG", quality=95, subsampling="4:4:4", exif=exif_of(facts))


Write = Callable[[Picture.Image, io.BytesIO, Facts], None]
WRITERS: dict[str, Write] = dict(zip(PICTURE_FORMATS, (_png, _webp, _jpeg), strict=True))
