"""Pixels brought to the size that a request asks for, after the model has made its own.

1. The whole picture shows, undistorted: it is as large as fits, in the middle, and what is left
   beside it has the colour of its edge. Where the proportions differ by less than 1 in 32, it is
   stretched instead.
2. Lanczos over three lobes (Duchon 1979), on 8 bits, by Pillow in one thread: the same pixels give
   the same bytes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

Pixels = NDArray[np.uint8]  # (H, W, C)
Size = tuple[int, int]  # width and height
NEAR = 1 / 32  # of a side: so little is stretched


def read_size(text: str) -> Size:
    """Width and height of an `output_size`, WIDTHxHEIGHT."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def resized(frames: Sequence[Pixels], size: Size) -> list[Pixels]:
    """Frames of one size in another; beside them is the colour of the first one's edge."""
    height, width, channels = frames[0].shape
    inner = fitted_size((width, height), size)
    scaled = [_scaled(frame, inner) for frame in frames]
    if inner == size:
        return scaled
    top, left = (size[1] - inner[1]) // 2, (size[0] - inner[0]) // 2
    ground = np.empty((size[1], size[0], channels), np.uint8)
    ground[:] = edge_colour(frames[0])
    filled = []
    for frame in scaled:
        whole = ground.copy()
        whole[top : top + inner[1], left : left + inner[0]] = frame
        filled.append(whole)
    return filled


def fitted_size(own: Size, wanted: Size) -> Size:
    """The size of a picture of proportions `own` inside one of size `wanted`."""
    scale = min(wanted[0] / own[0], wanted[1] / own[1])
    width, height = (max(1, round(side * scale)) for side in own)
    if width >= wanted[0] * (1 - NEAR) and height >= wanted[1] * (1 - NEAR):
        return wanted
    return width, height


def edge_colour(pixels: Pixels) -> NDArray[np.uint8]:
    """The median of the outermost pixels, for each channel."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour: NDArray[np.uint8] = np.median(edge, axis=0).astype(np.uint8)
    return colour


def note_of(own: Size, wanted: Size) -> str:
    """What an output says of it."""
    return f"made at {own[0]}x{own[1]}, then resized to {wanted[0]}x{wanted[1]}"


def _scaled(pixels: Pixels, size: Size) -> Pixels:
    grey = pixels.shape[2] == 1
    picture = Picture.fromarray(pixels[:, :, 0] if grey else pixels)
    array: Pixels = np.asarray(picture.resize(size, Picture.Resampling.LANCZOS))
    return array[:, :, None] if grey else array
