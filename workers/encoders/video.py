"""Moving pictures to files: the video, a poster, which is its first frame, and a sheet of all.

MP4 holds H.264, which knows no mark to begin again, so its frames are written as often as they are
to be played; WebP and GIF count for themselves. x264 in one thread gives the same bytes each time.
"""

import io
import itertools
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from models.artifacts import Video
from models.modalities import VIDEO_FORMATS
from workers.encoders.image import (
    animated_webp,
    eight_bits,
    in_output_size,
    laid_out,
    picture_of,
    still_file,
)
from workers.encoders.resize import Pixels
from workers.encoders.types import Encoded, Facts

CODING = {
    "crf": "10",
    "preset": "veryfast",  # slower ones were measured to save no bytes here
    "x264-params": "mbtree=0",  # the tree reads what it has not written: other bytes with AVX-512
}
MUXING = {"movflags": "+faststart", "fflags": "+bitexact"}  # it plays before all of it is there
GIF_FASTEST = 50.0  # frames a second that players show

Written = tuple[bytes, tuple[str, ...]]
"""A file, and what to note of it."""


def video_files(video: Video, output_format: str, facts: Facts) -> tuple[Encoded, ...]:
    """In one of VIDEO_FORMATS; the poster and the sheet are PNG whatever it is.

    The sheet has the frames as the model made them; the others have the size that was asked for.
    """
    own = [eight_bits(pixels) for pixels in video.pixels]
    frames, resizing = in_output_size(own, facts)
    content_type, write = WRITERS[output_format]
    data, notes = write(frames, video, facts)
    shown = len(frames) * video.repeat
    height, width = frames[0].shape[:2]
    whole = Encoded(
        data,
        content_type,
        "video",
        width + (width % 2 if output_format == "mp4" else 0),
        height + (height % 2 if output_format == "mp4" else 0),
        frames=shown,
        seconds=round(shown / video.fps, 4),
        fps=video.fps,
        notes=(*video.notes, *resizing, *notes),
    )
    poster = still_file(frames[0], "poster", "png", facts)
    return whole, poster, still_file(laid_out(own), "sheet", "png", facts)


def _mp4(frames: Sequence[Pixels], video: Video, facts: Facts) -> Written:
    even = [_even(frame) for frame in frames]
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:  # its beginning is written last
        path = Path(folder) / "video.mp4"
        with av.open(path, "w", format="mp4", options=MUXING) as box:
            box.metadata["comment"] = facts.text()
            rate = Fraction(video.fps).limit_denominator(1000)
            stream = box.add_stream("libx264", rate=rate)
            _set_up(stream, even[0])
            colours = VideoReformatter()
            for number, frame in enumerate(even * video.repeat):
                box.mux(stream.encode(_in_yuv(frame, number, colours)))
            box.mux(stream.encode())
        data = path.read_bytes()
    if even[0].shape == frames[0].shape:
        return data, ()
    high, wide = even[0].shape[:2]
    return data, (f"filled up to {wide}x{high} pixels: H.264 takes even sizes",)


def _set_up(stream: VideoStream, frame: Pixels) -> None:
    stream.height, stream.width = frame.shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_count = 1  # more of them give other bytes
    context.options = CODING
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def _in_yuv(frame: Pixels, number: int, colours: VideoReformatter) -> av.VideoFrame:
    coloured = np.ascontiguousarray(frame.repeat(3, 2) if frame.shape[2] == 1 else frame)
    plain = av.VideoFrame.from_ndarray(coloured, format="rgb24")
    yuv = colours.reformat(
        plain,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
    )
    yuv.pts = number
    return yuv


def _even(frame: Pixels) -> Pixels:
    """With its last row and column twice where their number is odd: H.264 halves its colours."""
    high, wide = frame.shape[:2]
    return np.pad(frame, ((0, high % 2), (0, wide % 2), (0, 0)), mode="edge")


def _webp(frames: Sequence[Pixels], video: Video, facts: Facts) -> Written:
    durations = _durations(len(frames), video.fps, 1000)
    return animated_webp(frames, durations, 0 if video.again else video.repeat, facts), ()


def _gif(frames: Sequence[Pixels], video: Video, facts: Facts) -> Written:
    first, *rest = (picture_of(frame).convert("RGB").quantize() for frame in frames)
    times = 0 if video.again else video.repeat - 1  # after the first
    out = io.BytesIO()
    first.save(
        out,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=[10 * hundredths for hundredths in _durations(len(frames), video.fps, 100)],
        comment=facts.text().encode(),
        disposal=1,
        **({"loop": times} if video.again or times else {}),
    )
    slow = video.fps > GIF_FASTEST
    return out.getvalue(), (f"players show a GIF at {GIF_FASTEST:g} fps at most",) if slow else ()


def _durations(frames: int, fps: float, parts: int) -> list[int]:
    """Of each frame, in so many parts of a second: rounded so that the whole is right."""
    ends = [round(number * parts / fps) for number in range(frames + 1)]
    return [end - start for start, end in itertools.pairwise(ends)]


Write = Callable[[Sequence[Pixels], Video, Facts], Written]
WRITERS: dict[str, tuple[str, Write]] = dict(
    zip(
        VIDEO_FORMATS,
        (("video/mp4", _mp4), ("image/webp", _webp), ("image/gif", _gif)),
        strict=True,
    )
)
"""Content type and writer of each format."""
