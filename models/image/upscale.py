"""The component that makes pictures larger, for every family whose checkpoint has one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.checkpoint.weights import Checkpoint, build_net
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import Step, gather
from models.nets.upscaler import Upscaler


@dataclass(frozen=True)
class PictureUpscaler:
    """Upscales pictures one by one."""

    run: BatchedFn[Tensor] | None  # None where the checkpoint has no such component

    @classmethod
    def of(cls, checkpoint: Checkpoint, example: Tensor, placement: Placement) -> "PictureUpscaler":
        """`example` (C, H, W) has the shape of the pictures to come."""
        if "upscaler" not in checkpoint.requires:
            return cls(None)
        net = build_net(Upscaler, checkpoint.requires["upscaler"], placement)
        return cls(BatchedFn(net, (example,), pad_to=1, dtype=placement.dtype, channels_last=True))

    @property
    def batched(self) -> tuple[BatchedFn[Tensor], ...]:
        return () if self.run is None else (self.run,)

    async def upscale(self, pictures: Tensor, progress: tuple[int, int]) -> Tensor:
        """Pictures (N, C, H, W) in [0, 1], larger. Raises TypeError without the component."""
        if self.run is None:
            raise TypeError("this checkpoint can't enlarge")
        rows = pictures.clamp(0, 1) * 2 - 1
        larger = await gather(*(Step(self.run, (picture,), progress) for picture in rows))
        return (torch.stack(larger) + 1) / 2
