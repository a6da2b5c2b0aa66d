"""Truncation of a GAN's draws by what they become: atypical results are rejected.

Cutting the latent itself (Brock et al. 2019, 1809.11096, section 3.1) does not work here: batch
norm with fixed statistics expects a latent of variance 1, and darkens the pictures of any other.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from models.artifacts import NotFinite

NEIGHBOURS = 3  # as in the estimate of a manifold by Kynkäänniemi et al. 2019 (1904.06991)
BLACK = 1e-3  # a mean value below which results count as black


def share_within(bound: float) -> float:
    """The share of standard normal values within plus and minus `bound`."""
    return math.erf(bound / math.sqrt(2))


def first_typical(results: Sequence[Tensor], bound: float) -> int:
    """The index of the first of some results that is typical of them.

    Typical is the share of them that `share_within` gives, at least one, that have the smallest
    distance to their third nearest neighbour: where the results are densest. Distances grow with
    brightness, so each is compared with what results of its brightness have, by a regression of
    the logarithms; otherwise dark results would be chosen. `results` has more than 3 tensors of
    one shape, with values in [0, 1]. Raises NotFinite.
    """
    x = torch.stack(tuple(results)).flatten(1).double()
    if not x.isfinite().all():
        raise NotFinite
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    reach = distance.kthvalue(NEIGHBOURS + 1, dim=1).values  # the first is the result itself
    brightness = x.mean(1).clamp_min(BLACK)
    atypical = residual(reach.clamp_min(1e-12).log(), brightness.log())
    count = max(1, round(share_within(bound) * len(x)))
    return int(atypical.argsort(stable=True)[:count].min())


def residual(y: Tensor, x: Tensor) -> Tensor:
    """What a line through the points (x, y) leaves of y, by least squares; all (N,)."""
    x, y = x - x.mean(), y - y.mean()
    variance = x @ x
    return y - x * (x @ y / variance if variance > 0 else 0.0)
