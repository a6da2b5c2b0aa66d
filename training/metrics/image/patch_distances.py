"""How far generated pictures lie from real ones, without a learnt net to judge them."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST = 16  # the side of the last level of a pyramid is at least this, if the pictures are
PATCHES = 128  # from each picture
PATCH = 7
PROJECTIONS = 128


def sliced_wasserstein(
    x: Tensor, y: Tensor, rng: torch.Generator, projections: int = PROJECTIONS
) -> float:
    """Mean 1-Wasserstein distance of x and y, each (N, D), along random directions.

    Bonneel et al. 2015, equation 9, with the distance itself in place of its square.
    """
    directions = F.normalize(torch.randn(x.shape[1], projections, generator=rng), dim=0)
    along_x, along_y = ((rows @ directions).sort(0).values for rows in (x, y))
    return (along_x - along_y).abs().mean().item()


def patch_distances(x: Tensor, y: Tensor, rng: torch.Generator) -> dict[str, float]:
    """Sliced Wasserstein distance of 7x7 patches per level of a Laplacian pyramid, times 1000.

    x, y: (N, C, side, side) in [0, 1], equally many. Karras et al. 2018 (1710.10196), section 5:
    the smallest level speaks of the large shapes, the largest of edges and texture.
    """
    distances = {}
    for in_x, in_y in zip(_pyramid(x), _pyramid(y), strict=True):
        mine, theirs = _patches(in_x, rng), _patches(in_y, rng)
        distances[str(in_x.shape[-1])] = 1000 * sliced_wasserstein(mine, theirs, rng)
    return distances


def mean_patch_distances(many: Tensor, test: Tensor, rng: torch.Generator) -> dict[str, float]:
    """`patch_distances` to `test`, averaged over parts of `many` as large as `test`."""
    distances = [patch_distances(one, test, rng) for one in torch.split(many, len(test))]
    return {side: sum(one[side] for one in distances) / len(distances) for side in distances[0]}


def nearest_rms(x: Tensor, known: Tensor) -> Tensor:
    """For each of x its root mean square difference to the most similar of `known`, (N,).

    Pictures in [0, 1]. Near 0 is a copy.
    """
    apart: Tensor = torch.cdist(x.flatten(1), known.flatten(1)).amin(1)
    return apart / math.sqrt(x[0].numel())


def _pyramid(x: Tensor) -> list[Tensor]:
    """What each level adds to the next smaller one; the smallest level whole."""
    levels = []
    while x.shape[-1] % 2 == 0 and x.shape[-1] >= 2 * SMALLEST:
        small = F.avg_pool2d(x, 2)
        wide = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
        levels.append(x - wide)
        x = small
    return [*levels, x]


def _patches(x: Tensor, rng: torch.Generator) -> Tensor:
    """(N * PATCHES, C * 49), each colour channel brought to mean 0 and deviation 1."""
    every = F.unfold(x, PATCH)  # (N, C * 49, places)
    index = torch.randint(every.shape[2], (len(x), 1, PATCHES), generator=rng)
    rows = every.gather(2, index.expand(-1, every.shape[1], -1)).transpose(1, 2)
    channels = rows.reshape(-1, x.shape[1], PATCH**2)
    mean, deviation = channels.mean((0, 2), keepdim=True), channels.std((0, 2), keepdim=True)
    return ((channels - mean) / (deviation + 1e-8)).flatten(1)
