"""A picture that a request starts from, and the part of it to repaint (Lugmayr et al. 2022)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact
from models.diffusion.denoiser import Progress, X0Hook
from models.image.preprocessing import filled


@dataclass(frozen=True, slots=True)
class InitImage:
    """The picture, its latent, and the mask: 1 where it is repainted. A latent is repainted if the
    mask touches any of its pixels."""

    picture: Tensor  # (C, H, W) in [0, 1]
    latent: Tensor  # (L, h, w)
    mask: Tensor | None = None  # (1, H, W)
    latent_mask: Tensor | None = None  # (1, h, w)

    @classmethod
    def of(cls, picture: Tensor, latent: Tensor, mask: Artifact | None) -> "InitImage":
        """`mask` is a posted picture, cropped as the picture was: white is 0.5 or more."""
        if mask is None:
            return cls(picture, latent)
        height, width = picture.shape[1:]
        white = (filled(mask, 1, height, width) >= 0.5).float()
        return cls(picture, latent, white, F.adaptive_max_pool2d(white, latent.shape[1:]))

    @property
    def x0_hooks(self) -> tuple[X0Hook, ...]:
        """Puts the known part of the latent back at every level, where some is to be kept."""
        mask = self.latent_mask
        if mask is None:
            return ()

        async def keep(x0: Tensor, _level: int, _progress: Progress) -> Tensor:
            return torch.lerp(self.latent, x0, mask)

        return (keep,)

    def kept(self, painted: Tensor) -> Tensor:
        """A painted picture with the original's pixels where they are to be kept."""
        return painted if self.mask is None else torch.lerp(self.picture, painted, self.mask)
