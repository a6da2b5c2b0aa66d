"""The last steps of every video family: upscale the frames, and make the artifact."""

from torch import Tensor

from models.artifacts import Video
from models.image.upscale import PictureUpscaler
from models.params.video import VideoParams


async def video_of(
    params: VideoParams,
    frames: Tensor,
    upscaler: PictureUpscaler,
    progress: tuple[int, int],
    notes: tuple[str, ...],
) -> tuple[Video]:
    """The artifact of a request, from the frames (F, C, H, W) in [0, 1] that its net made."""
    if params.upscale > 1:
        frames = await upscaler.upscale(frames, progress)
    return (Video(frames.clamp(0, 1), params.fps, params.repeat, params.loop, notes),)
