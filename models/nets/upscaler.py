"""Pictures made larger: what bicubic enlargement lacks, from a chain of small convolutions."""

from torch import Tensor, nn
from torch.nn import functional as F


class Upscaler(nn.Module):
    """Pictures (B, channels, H, W) in [-1, 1] -> (B, channels, factor H, factor W).

    Residual blocks without normalisation at the small size (Lim et al. 2017, 1707.02921), then
    one sub-pixel convolution (Shi et al. 2016, 1609.05158); what it makes is added to the bicubic
    enlargement, so that with `leave` at zero it is just that. Any height and width.
    """

    def __init__(
        self, channels: int = 3, width: int = 48, blocks: int = 8, factor: int = 4
    ) -> None:
        super().__init__()
        if factor not in (2, 4):
            raise ValueError(f"factor must be 2 or 4, not {factor}")
        self.factor = factor
        self.enter = nn.Conv2d(channels, width, 3, 1, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)
            )
            for _ in range(blocks)
        )
        self.leave = nn.Conv2d(width, channels * factor**2, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = entered = self.enter(x)
        for block in self.blocks:
            h = h + block(h)
        added = F.pixel_shuffle(self.leave(h + entered), self.factor)
        out: Tensor = bicubic(x, self.factor) + added
        return out


def bicubic(x: Tensor, factor: int) -> Tensor:
    """What every upscaler starts from, and is measured against. It overshoots a little at edges."""
    return F.interpolate(x, scale_factor=factor, mode="bicubic", align_corners=False)
