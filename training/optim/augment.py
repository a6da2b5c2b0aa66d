"""Random changes to pictures that let a small set train a discriminator.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training" (2006.10738):
the same changes fall on real and generated pictures, gradients pass through them, and so the
generator does not learn to draw them. Pictures are (B, C, H, W) in [-1, 1].
"""

import torch
from torch import Tensor


def diff_augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Colour, then translation, then a cut-out square; each drawn per row from `rng`."""
    return cutout(translate(recolour(x, rng), rng), rng)


def augment_latents(x: Tensor, rng: torch.Generator) -> Tensor:
    """Augments looping clips of latents (B, F, C, H, W), all frames of a row alike.

    Each row begins anywhere in its loop, moves by up to an eighth of its side, and what comes in
    from outside repeats its border; then it is scaled by 0.8 to 1.2, and a square is cut out.
    """
    rows, frames, channels, height, width = x.shape
    reach = max(1, height // 8)
    first, dy, dx = (
        torch.randint(low, high, (rows, 1), generator=rng)
        for low, high in ((0, frames), (-reach, reach + 1), (-reach, reach + 1))
    )
    row = torch.arange(rows)[:, None, None, None]
    frame = ((torch.arange(frames) + first) % frames)[:, :, None, None]
    y = (torch.arange(height) + dy).clamp(0, height - 1)[:, None, :, None]
    at = (torch.arange(width) + dx).clamp(0, width - 1)[:, None, None, :]
    moved = x.movedim(2, -1)[tuple(i.to(x.device) for i in (row, frame, y, at))]  # (B, F, H, W, C)
    deep = moved.movedim(-1, 2).reshape(rows, frames * channels, height, width)
    return cutout(deep * (uniform(x, rng) * 0.4 + 0.8), rng).view_as(x)


def mirror(x: Tensor, rng: torch.Generator) -> Tensor:
    """Each row flipped left to right with probability one half."""
    flip = uniform(x, rng) < 0.5
    return torch.where(flip, x.flip(3), x)


def recolour(x: Tensor, rng: torch.Generator) -> Tensor:
    """Brightness +-0.25, saturation 0.5 to 1.5, contrast 0.7 to 1.3."""
    x = x + (uniform(x, rng) - 0.5) * 0.5
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (uniform(x, rng) + 0.5)
    level = x.mean((1, 2, 3), keepdim=True)
    return level + (x - level) * (uniform(x, rng) * 0.6 + 0.7)


def translate(x: Tensor, rng: torch.Generator, fraction: float = 0.125) -> Tensor:
    """Up to `part` of the side in both directions; what comes in from outside is white."""
    rows, _, height, width = x.shape
    reach = int(height * fraction + 0.5)
    dy, dx = torch.randint(-reach, reach + 1, (2, rows, 1, 1), generator=rng).to(x.device)
    y = torch.arange(height, device=x.device).view(1, -1, 1) + dy  # (B, H, 1)
    at = torch.arange(width, device=x.device).view(1, 1, -1) + dx  # (B, 1, W)
    inside = ((y >= 0) & (y < height) & (at >= 0) & (at < width)).unsqueeze(1)  # (B, 1, H, W)
    row = torch.arange(rows, device=x.device).view(-1, 1, 1)
    moved = x.permute(0, 2, 3, 1)[row, y.clamp(0, height - 1), at.clamp(0, width - 1)]
    return torch.where(inside, moved.permute(0, 3, 1, 2), 1.0)


def cutout(x: Tensor, rng: torch.Generator, fraction: float = 0.4) -> Tensor:
    """A square of `part` of the side, its centre anywhere, greyed to 0."""
    rows, _, height, width = x.shape
    half = int(height * fraction + 0.5) // 2
    cy, cx = (torch.rand(2, rows, 1, 1, generator=rng) * height).to(x.device)
    y = torch.arange(height, device=x.device).view(1, -1, 1)
    at = torch.arange(width, device=x.device).view(1, 1, -1)
    hole = ((y - cy).abs() < half) & ((at - cx).abs() < half)  # (B, H, W)
    return torch.where(hole.unsqueeze(1), 0.0, x)


def uniform(x: Tensor, rng: torch.Generator) -> Tensor:
    """One number in [0, 1) per row, (B, 1, 1, 1), drawn on the CPU whatever the device."""
    return torch.rand(x.shape[0], 1, 1, 1, generator=rng).to(x.device)
