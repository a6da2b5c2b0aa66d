"""Sprites drawn here, one for every combination of five known factors (after dSprites, 2017).

Disentanglement is measured against factors that are known, so each is independent of the others:
all shapes have the same area, and a turn goes round each shape's own symmetry, so that no two
combinations give the same picture.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from training.recipe import Data

Grid = NDArray[np.float64]

FACTORS = {"shape": 3, "scale": 6, "rotation": 20, "x": 16, "y": 16}
"""How many values each factor has, in the order of the columns."""
SIDE = 64
TRAIN, TEST = 60_000, 5_000  # of the 92,160 combinations

ABOUT = (
    "Squares, ellipses and hearts in six sizes, twenty turns and 256 places, drawn by the project: "
    "60,000 of the 92,160 combinations."
)
LICENCE = "MIT"

STAMP = 32  # pixels; every sprite fits in a circle of this diameter
STEP = 2  # pixels from one place to the next
MARGIN = (SIDE - STAMP - STEP * (FACTORS["x"] - 1)) // 2
FINE = 8  # samples along each side of a pixel
AREA = 377.0  # square pixels, at the largest size
SMALLEST = 0.5  # of the largest


def load_sprites() -> Data:
    """Columns: pictures (N, 1, 64, 64) uint8 and factors (N, 5) int64; no combination in both."""
    chosen = np.random.default_rng(0).permutation(math.prod(FACTORS.values()))[: TRAIN + TEST]
    factors = np.stack(np.unravel_index(chosen, tuple(FACTORS.values())), 1)
    pictures, known = torch.from_numpy(draw(factors)), torch.from_numpy(factors)
    return Data((pictures[:TRAIN], known[:TRAIN]), (pictures[TRAIN:], known[TRAIN:]))


def draw(factors: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Factor indices (N, 5) to pictures (N, 1, 64, 64), white on black with smooth edges."""
    stamps = _stamps()
    pictures = np.zeros((len(factors), SIDE, SIDE), np.uint8)
    inside = np.arange(STAMP)
    for start in range(0, len(factors), 1000):  # so that no index grows large
        shape, scale, rotation, x, y = factors[start : start + 1000].T
        row = np.arange(start, start + len(x))[:, None, None]
        down = (MARGIN + STEP * y)[:, None, None] + inside[:, None]
        across = (MARGIN + STEP * x)[:, None, None] + inside
        pictures[row, down, across] = stamps[shape, scale, rotation]
    return pictures[:, None]


@lru_cache(maxsize=1)
def _stamps() -> NDArray[np.uint8]:
    """Every shape, scale and rotation about the middle of a square: (3, 6, 20, STAMP, STAMP)."""
    at = (np.arange(STAMP * FINE) + 0.5) / FINE - STAMP / 2
    down, across = np.meshgrid(at, at, indexing="ij")
    stamps = np.zeros((*tuple(FACTORS.values())[:3], STAMP, STAMP), np.uint8)
    for shape, scale, rotation in np.ndindex(stamps.shape[:3]):
        inside, period = SHAPES[shape]
        angle = period * rotation / FACTORS["rotation"]
        size = SMALLEST + (1 - SMALLEST) * scale / (FACTORS["scale"] - 1)
        u = (math.cos(angle) * across + math.sin(angle) * down) / size
        v = (math.cos(angle) * down - math.sin(angle) * across) / size
        fine = inside(u, v).reshape(STAMP, FINE, STAMP, FINE)
        stamps[shape, scale, rotation] = np.round(fine.mean((1, 3)) * 255)
    return stamps


def _square(u: Grid, v: Grid) -> NDArray[np.bool_]:
    return np.maximum(abs(u), abs(v)) <= math.sqrt(AREA) / 2


def _ellipse(u: Grid, v: Grid) -> NDArray[np.bool_]:
    """Twice as wide as high."""
    half = math.sqrt(AREA / (2 * math.pi))
    return (u / 2) ** 2 + v**2 <= half**2


def _heart(u: Grid, v: Grid) -> NDArray[np.bool_]:
    """(x^2 + y^2 - 1)^3 <= x^2 y^3, whose area is 3.662; v grows downwards."""
    unit = math.sqrt(AREA / 3.662)
    x, y = u / unit, -v / unit
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3


Inside = Callable[[Grid, Grid], NDArray[np.bool_]]
SHAPES: tuple[tuple[Inside, float], ...] = (
    (_square, math.pi / 2),
    (_ellipse, math.pi),
    (_heart, 2 * math.pi),
)
"""Whether a point lies inside, and the turn after which a shape looks as before."""
