"""Structural similarity of two pictures (Wang et al. 2004, "Image quality assessment")."""

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW, DEVIATION = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # of pixels in [0, 1]


def ssim(output: Tensor, target: Tensor) -> float:
    """Mean SSIM over pictures (N, C, H, W) in [0, 1] of at least 11 pixels a side: 1 if they are
    the same. Every channel by itself, under a Gaussian window that stays within the picture."""
    pairs = zip(torch.split(output, 1), torch.split(target, 1), strict=True)
    return sum(_similarity(x, y) for x, y in pairs) / len(output)


def _similarity(x: Tensor, y: Tensor) -> float:
    """Equation 13 of one picture each, (1, C, H, W)."""
    x, y = x.double(), y.double()
    mx, my = _blurred(x), _blurred(y)
    vx, vy = _blurred(x * x) - mx**2, _blurred(y * y) - my**2
    both = _blurred(x * y) - mx * my
    bright = (2 * mx * my + C1) / (mx**2 + my**2 + C1)
    return (bright * (2 * both + C2) / (vx + vy + C2)).mean().item()


def _blurred(x: Tensor) -> Tensor:
    offset = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = torch.exp(-(offset**2) / (2 * DEVIATION**2))
    weights = (weights / weights.sum()).expand(x.shape[1], 1, 1, -1)
    across = F.conv2d(x, weights, groups=x.shape[1])
    return F.conv2d(across, weights.mT, groups=x.shape[1])
