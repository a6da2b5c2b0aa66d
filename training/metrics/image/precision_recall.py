"""Precision and recall of generated pictures, by how real and generated ones surround each other.

A set is taken to fill the balls around its members that reach to their k-th nearest neighbours:
Kynkäänniemi et al. 2019 (1904.06991), equations 1 and 2.
"""

import torch
from torch import Tensor

NEIGHBOURS = 3  # section 3.1


def precision_recall(real: Tensor, generated: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """The share of `made` among `real` (is it believable?) and of `real` among `made` (is it all?).

    Features (N, D) and (M, D), each of more than k rows; both lie in [0, 1]. The more rows a set
    has, the smaller its balls, so only figures of equal N and M can be compared.
    """
    return share_within(generated, real, k), share_within(real, generated, k)


def share_within(points: Tensor, members: Tensor, k: int = NEIGHBOURS) -> float:
    """The share of points (N, D) that lie in the ball of at least one of the members (M, D)."""
    if len(members) <= k:
        raise ValueError(f"{len(members)} members have no {k} neighbours each")
    x, y = points.double(), members.double()
    reach = torch.cdist(y, y).kthvalue(k + 1, dim=1).values  # the first is the member itself
    return (torch.cdist(x, y) <= reach).any(1).double().mean().item()
