"""Folders of pictures drawn here, as a user might have them."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, number: int = 0, size: tuple[int, int] = (20, 24), mode: str = "RGB") -> Path:
    """A picture of its own for every number, left half in one colour and right half in another."""
    colours = np.random.default_rng(number).integers(0, 256, (2, 3), dtype=np.uint8)
    pixels = np.repeat(colours[None], size[1], 0).repeat(-(-size[0] // 2), 1)[:, : size[0]]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def draw_folder(folder: Path, count: int = 12) -> Path:
    for number in range(count):
        draw(folder / f"{number:02d}.png", number)
    return folder
