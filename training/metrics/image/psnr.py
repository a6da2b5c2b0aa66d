"""How near a picture comes to the one it should be."""

import torch
from torch import Tensor


def psnr(output: Tensor, target: Tensor) -> float:
    """Mean peak signal-to-noise ratio, in dB, over pictures (N, C, H, W) in [0, 1].

    10 log10(1 / MSE) of each picture, at most 100 for one that is the same.
    """
    errors = (output.double() - target.double()).square().flatten(1).mean(1)
    ratios: Tensor = -10 * torch.log10(errors.clamp(min=1e-10))
    return ratios.mean().item()
