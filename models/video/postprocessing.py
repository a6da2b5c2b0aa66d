"""What families of moving pictures share: frames made larger one by one, and the clip itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.artifacts import Video
from models.checkpoint.weights import Checkpoint, build_net
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import Step, gather
from models.nets.upscaler import Upscaler
from models.params.video import VideoParams

Progress = tuple[int, int]


@dataclass(frozen=True)
class Enlarging:
    """The part that makes frames larger, where a checkpoint has one."""

    run: BatchedFn[Tensor] | None

    @classmethod
    def of(cls, checkpoint: Checkpoint, frame: Tensor, placement: Placement) -> "Enlarging":
        """`frame` (C, H, W) is one of those that it will be given."""
        if "upscaler" not in checkpoint.requires:
            return cls(None)
        net = build_net(Upscaler, checkpoint.requires["upscaler"], placement)
        return cls(BatchedFn(net, (frame,), pad_to=1, dtype=placement.dtype, channels_last=True))

    @property
    def batched(self) -> tuple[BatchedFn[Tensor], ...]:
        return () if self.run is None else (self.run,)

    async def enlarged(self, clip: Tensor, progress: Progress) -> Tensor:
        """(F, C, H, W) in [0, 1], each frame by itself."""
        if self.run is None:
            raise TypeError("this checkpoint can't enlarge")
        rows = clip.clamp(0, 1) * 2 - 1
        frames = await gather(*(Step(self.run, (frame,), progress) for frame in rows))
        return (torch.stack(frames) + 1) / 2


async def filmed(
    params: VideoParams,
    clip: Tensor,
    enlarging: Enlarging,
    progress: Progress,
    notes: tuple[str, ...],
) -> tuple[Video]:
    """The artifact of a request, from the clip that its net made."""
    if params.upscale > 1:
        clip = await enlarging.enlarged(clip, progress)
    return (Video(clip.clamp(0, 1), params.fps, params.repeat, params.loop, notes),)
