import asyncio

import pytest
import torch
from torch import Tensor

from models.video.first_frame import first_frame_hook


async def _corrected(x0: Tensor, latent: Tensor) -> Tensor:
    return await first_frame_hook(latent)(x0, 0, (0, 1))


@pytest.mark.parametrize("frames", [2, 16])
def test_every_frame_gets_the_correction_of_the_first(frames: int) -> None:
    rng = torch.Generator().manual_seed(frames)
    x0, latent = torch.randn(frames, 2, 3, 3, generator=rng), torch.randn(2, 3, 3, generator=rng)
    moved = asyncio.run(_corrected(x0, latent))
    expected = x0.clone()
    for frame in range(frames):  # the naive form, value by value
        for index in range(latent.numel()):
            difference = latent.flatten()[index] - x0[0].flatten()[index]
            expected[frame].view(-1)[index] = x0[frame].flatten()[index] + difference
    assert torch.equal(moved, expected)
    torch.testing.assert_close(moved[0], latent)
    torch.testing.assert_close(moved.diff(dim=0), x0.diff(dim=0))
