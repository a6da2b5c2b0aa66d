"""How sure a classifier is of each picture, and how varied it finds them all."""

import torch
from torch import Tensor


def inception_score(probabilities: Tensor) -> float:
    """exp(E_x KL(p(y|x) || p(y))) of p(y|x), (N, classes): Salimans et al. 2016 (1606.03498), s. 4.

    From 1, where every picture is judged alike, to the number of classes. Whose classes they are
    belongs to the figure: only those of Inception make it an Inception score.
    """
    p = probabilities.double()
    marginal = p.mean(0)
    divergence = (torch.xlogy(p, p) - torch.xlogy(p, marginal)).sum(1)
    return divergence.mean().exp().item()
