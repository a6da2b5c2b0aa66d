"""OpenAI's masks, which are transparent where to repaint, as masks of the models here.

What counts is whether a pixel is fully transparent, as OpenAI's reference says.
"""

import io
from typing import BinaryIO

from app.core.errors import Unprocessable
from app.core.images.image_reader import UnreadableFile, read_alpha


def read_mask(file: BinaryIO, param: str, size: tuple[int, int]) -> bytes:
    """A PNG, white where this picture is fully transparent. Blocks.

    Raises Unprocessable for one that isn't of this size, has no alpha channel, or no clear pixel.
    """
    own, white = read_clear(file, param)
    if own != size:
        message = f"must be as large as image, {size[0]} by {size[1]}, and is {own[0]} by {own[1]}"
        raise Unprocessable(f"{param} {message}", param=param)
    if white is None:
        message = "must have a fully transparent part: that is where the image is edited"
        raise Unprocessable(f"{param} {message}", param=param)
    return white


def read_clear(file: BinaryIO, param: str) -> tuple[tuple[int, int], bytes | None]:
    """The size of a picture, and where any of it is clear, a PNG that is white there.

    Blocks. Raises Unprocessable for what is no picture.
    """
    try:
        file.seek(0)
        size, alpha = read_alpha(file.read())
    except UnreadableFile as error:
        raise Unprocessable(f"{param} {error}", param=param) from None
    if alpha is None:
        return size, None
    white = alpha.point([255] + [0] * 255)
    if white.getextrema() == (0, 0):
        return size, None
    out = io.BytesIO()
    white.save(out, "PNG", compress_level=6)
    return size, out.getvalue()
