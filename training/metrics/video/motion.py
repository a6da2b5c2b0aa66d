"""How clips move, and how near they come to known ones, without a learnt net to judge them.

Clips are uint8 (N, F, C, H, W) that loop: the first frame follows the last.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

SMALL = 16  # pixels a side that clips are compared at


def motion_energy(clips: Tensor) -> Tensor:
    """Mean change of a value from one frame to the next, of 255, (N,)."""
    return _changes(clips).abs().flatten(1).mean(1)


def jerkiness(clips: Tensor) -> Tensor:
    """How much of the motion does not go on in the next frame, (N,): 0 glides, some 1 shakes to no
    purpose, 2 goes back and forth. 0 where nothing moves."""
    change = _changes(clips)
    turn = (change - change.roll(1, 1)).abs().flatten(1).mean(1)
    energy = change.abs().flatten(1).mean(1)
    ratio: Tensor = torch.where(energy > 0, turn / energy.clamp(min=1e-9), 0.0)
    return ratio


def loop_seam(clips: Tensor) -> Tensor:
    """The change from the last frame to the first over the mean change within the clip, (N,).

    A clip that loops has about 1, and one that stands still has 1.
    """
    change = _changes(clips).abs().flatten(2).mean(2)
    within = change[:, :-1].mean(1).clamp(min=1e-3)  # the seam may be all that moves
    ratio: Tensor = torch.where(change.sum(1) > 0, change[:, -1] / within, 1.0)
    return ratio


def seed_variety(clips: Tensor) -> Tensor:
    """How clips (N, K, F, C, H, W) of K seeds differ, over how the frames of one do, (N,).

    Both are mean root mean square differences over all pairs. Above 1, another seed is more of a
    change than another moment.
    """
    x = clips.float()
    seeds = _mean_distance(x.flatten(2))
    frames = _mean_distance(x[:, 0].flatten(2)).clamp(min=1e-3)
    ratio: Tensor = seeds / frames * (x[:, 0, 0].numel() / x[:, 0].numel()) ** 0.5
    return ratio


def nearest_clips(clips: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """For each clip the root mean square difference, of 255, to the most similar known one, which
    may be mirrored and begin anywhere in its loop; and which that is, (N,) each."""
    mine = _small(clips)
    best = torch.full((len(clips),), torch.inf)
    index = torch.zeros(len(clips), dtype=torch.int64)
    for start in range(0, len(known), 64):
        few = _small(known[start : start + 64])
        for other in (few, few.flip(-1)):
            for first in range(clips.shape[1]):
                apart = torch.cdist(mine.flatten(1), other.roll(first, 1).flatten(1))
                least, which = apart.min(1)
                index = torch.where(least < best, start + which, index)
                best = torch.minimum(least, best)
    return best / mine[0].numel() ** 0.5, index


def _changes(clips: Tensor) -> Tensor:
    x = clips.float()
    return x.roll(-1, 1) - x


def _mean_distance(x: Tensor) -> Tensor:
    """Mean distance over all pairs of the K vectors of each row, (N, K, D) -> (N,)."""
    count = x.shape[1]
    apart: Tensor = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").sum((1, 2))
    return apart / (count * (count - 1))


def _small(clips: Tensor) -> Tensor:
    side = min(SMALL, clips.shape[-1])
    small = F.adaptive_avg_pool2d(clips.float().flatten(0, 1), side)
    return small.view(*clips.shape[:3], side, side)
