"""Entropy and what is made of it, in nats; exact where a probability is 0: 0 log 0 is 0.

Cover and Thomas 2006, chapter 2. Distributions are (K,) and sum to 1.
"""

import torch
from torch import Tensor


def entropy(p: Tensor) -> float:
    """-sum p log p, from 0 to log K."""
    p = _distribution(p)
    return -torch.xlogy(p, p).sum().item()


def kl_divergence(p: Tensor, q: Tensor) -> float:
    """sum p log(p / q): 0 for equals, infinite where q calls impossible what p does not."""
    p, q = _distribution(p), _distribution(q)
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum().item()


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Mean divergence of p and q to their mean, from 0 to log 2: Lin 1991, equation 4.1."""
    middle = (_distribution(p) + _distribution(q)) / 2
    return (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2


def mutual_information(joint: Tensor) -> float:
    """KL of the joint distribution from the product of its margins, of counts (A, B)."""
    p = joint.double() / joint.sum()
    apart = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    return (torch.xlogy(p, p) - torch.xlogy(p, apart)).sum().item()


def joint_counts(a: Tensor, b: Tensor) -> Tensor:
    """How often each pair of whole numbers occurs in rows (N,) and (N,): (max a + 1, max b + 1)."""
    width = int(b.max()) + 1
    counts = torch.bincount(a * width + b, minlength=(int(a.max()) + 1) * width)
    return counts.view(-1, width)


def binned(x: Tensor, bins: int) -> Tensor:
    """Real numbers (N,) to the numbers of `bins` equal intervals from the least to the greatest.

    What the histogram estimate of mutual information rests on: more bins than sqrt(N) find
    dependence where there is none.
    """
    low, high = x.min().double(), x.max().double()
    if low == high:
        return torch.zeros(len(x), dtype=torch.int64)
    fraction = (x.double() - low) / (high - low) * bins
    return fraction.long().clamp(max=bins - 1)


def _distribution(p: Tensor) -> Tensor:
    p = p.double()
    if p.ndim != 1 or p.min() < 0 or not torch.isclose(p.sum(), p.new_ones(())):
        raise ValueError("a distribution is one row of probabilities that sum to 1")
    return p
