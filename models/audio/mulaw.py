"""Mu-law: sound to classes on a logarithmic scale, and back.

The law is ITU-T G.711's as van den Oord et al. 2016 (1609.03499), section 2.2, have it: it is
spread over [-1, 1] and cut into as many equal steps as there are classes, where the standard's own
tables are made of straight lines.
"""

import math

import torch
from torch import Tensor

CLASSES = 256


def compress(x: Tensor, classes: int = CLASSES) -> Tensor:
    """f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), mu one less than the classes; [-1, 1] both."""
    mu = classes - 1
    return x.sign() * torch.log1p(mu * x.abs()) / math.log1p(mu)


def expand(y: Tensor, classes: int = CLASSES) -> Tensor:
    """The inverse of `compress`."""
    mu = classes - 1
    return y.sign() * torch.expm1(y.abs() * math.log1p(mu)) / mu


def encode(x: Tensor, classes: int = CLASSES) -> Tensor:
    """Samples in [-1, 1] to the nearest classes on the scale, int64 from 0 to classes - 1.

    Raises ValueError for a sample that is louder, or no number: cutting it off would be heard.
    """
    if not bool((x.abs() <= 1).all()):
        raise ValueError("samples must be between -1 and 1")
    return ((compress(x, classes) + 1) / 2 * (classes - 1)).round().long()


def decode(number: Tensor, classes: int = CLASSES) -> Tensor:
    """Classes to samples in [-1, 1], float32. Raises ValueError for a class that there is not."""
    if not bool(((number >= 0) & (number < classes)).all()):
        raise ValueError(f"classes must be between 0 and {classes - 1}")
    return expand(2 * number.double() / (classes - 1) - 1, classes).float()
