"""Any video to a clip: so many frames of a square, by PyAV, or by Pillow where it is a GIF or WebP.

1. A frame is as players show it: turned, with pixels as wide as the file says, and on white where
   it can be seen through. Its middle square is resized by LANCZOS.
2. Frames are taken evenly over the whole, or from the beginning at a rate. How long each frame
   stands is as the file says, however uneven that is.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from training.data.cache import DataMissing
from training.data.images.squares import square

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoFrame
    from av.container import InputContainer
    from av.sidedata.sidedata import SideData
    from av.video.stream import VideoStream

MOVING = frozenset({".gif", ".webp"})
FILMS = frozenset({".mp4", ".webm", ".mov", ".mkv", ".m4v"})
SUFFIXES = MOVING | FILMS
LONGEST = 600.0  # seconds
NEAR = 1e-6  # seconds: sums of parts of a second are never exact
MOST_PIXELS = 4096 * 4096
MOST_FRAMES = 72_000  # of a film: ten minutes of 120 a second
SEEN_THROUGH = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # whose usual decoders leave out transparency
STILL = 0.1  # seconds that a frame of a GIF stands, if it says nothing

Picture = NDArray[np.uint8]


def read_clip(
    path: Path, name: str, frames: int, size: int, rate: float | None = None
) -> NDArray[np.uint8]:
    """(frames, 3, size, size). Raises DataMissing, which calls the file `name` and says why."""
    if not path.stat().st_size:
        raise DataMissing(f"{name} is empty")
    read = _pictures if path.suffix.lower() in MOVING else _film
    try:
        shown = list(read(path, name, size))
    except DataMissing:
        raise
    except Exception:  # a decoder says in a dozen ways that a file is broken
        raise DataMissing(f"{name} is no video, or is broken or cut short") from None
    if len(shown) < 2:
        raise DataMissing(f"{name} does not move: it has {len(shown)} frame")
    times = _times([span for span, _ in shown], name, frames, rate)
    return np.stack([shown[index][1] for index in times])


def _times(spans: list[float], name: str, frames: int, rate: float | None) -> list[int]:
    """Returns the index of the frame that is shown at each of the times wanted."""
    ends = np.cumsum(spans)
    whole = float(ends[-1])
    step = whole / frames if rate is None else 1 / rate
    if frames * step > whole + NEAR:
        need = f"{frames} frames at {rate:g} a second take {frames * step:.2f}"
        raise DataMissing(f"{name} lasts {whole:.2f} seconds, and {need}")
    wanted = (np.arange(frames) + (0.5 if rate is None else 0.0)) * step
    indices = np.searchsorted(ends, wanted + NEAR, side="right")
    return [min(int(index), len(spans) - 1) for index in indices]


def _pictures(path: Path, name: str, size: int) -> Iterator[tuple[float, Picture]]:
    """How long each frame stands, and what it shows."""
    whole = 0.0
    with Image.open(path, formats=("GIF", "WEBP")) as animation:
        _measure(animation.width, animation.height, name)
        for frame in ImageSequence.Iterator(animation):
            frame.load()  # a WebP says only then how long it stands
            span = frame.info.get("duration", 0) / 1000 or STILL
            whole = _within(whole + span, name)
            yield span, square(frame, size, 3)


def _film(path: Path, name: str, size: int) -> Iterator[tuple[float, Picture]]:
    import av

    with av.open(path) as box:
        if not box.streams.video:
            raise DataMissing(f"{name} has no pictures in it")
        stream = box.streams.video[0]
        pixel = Fraction(stream.sample_aspect_ratio or 1)
        _measure(*_shown_size(stream.width, stream.height, pixel), name)
        times: list[float] = []
        pictures: list[Picture] = []
        last = 0.0
        for frame in _frames(box, stream):
            last = _duration(frame, stream)
            times.append(len(times) * last if frame.time is None else frame.time)
            _within(times[-1] - times[0] + last, name)
            if len(times) > MOST_FRAMES:
                raise DataMissing(f"{name} has more than {MOST_FRAMES} frames")
            pictures.append(square(_shown(frame, pixel), size, 3))
    if not times or last <= 0:
        raise DataMissing(f"{name} does not say how fast it is")
    spans = [max(0.0, after - before) for before, after in pairwise(times)]
    yield from zip([*spans, last], pictures, strict=True)


def _frames(box: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    import av

    decoder = SEEN_THROUGH.get(stream.codec_context.name)
    if decoder is None or stream.metadata.get("alpha_mode") != "1":
        yield from box.decode(stream)
        return
    clear = cast("VideoCodecContext", av.CodecContext.create(decoder, "r"))
    for packet in box.demux(stream):
        yield from clear.decode(packet if packet.size else None)


def _duration(frame: "VideoFrame", stream: "VideoStream") -> float:
    """How long a frame stands by itself, in seconds: what it says, else what is usual."""
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def _shown(frame: "VideoFrame", pixel: Fraction) -> Image.Image:
    """A frame as players show it; what can be seen through stays so."""
    clear = frame.format.name == "pal8" or any(c.is_alpha for c in frame.format.components)
    picture = Image.fromarray(frame.to_ndarray(format="rgba" if clear else "rgb24"))
    if pixel != 1:
        wide = _shown_size(picture.width, picture.height, pixel)
        picture = picture.resize(wide, Image.Resampling.LANCZOS)
    for turn in _turns(frame):
        picture = picture.transpose(turn)
    return picture


def _shown_size(width: int, height: int, pixel: Fraction) -> tuple[int, int]:
    """With square pixels, for such that are `pixel` times as wide as high: none is left out."""
    if pixel >= 1:
        return round(width * pixel), height
    return width, round(height / pixel)


def _turns(frame: "VideoFrame") -> list[Image.Transpose]:
    """What a frame's display matrix does, to the nearest right angle."""
    matrix = cast("SideData | None", frame.side_data.get("DISPLAYMATRIX"))
    if matrix is None:
        return []
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))  # x' = ax + cy, y' = bx + dy
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if turned else (a, d)
    turns = [Image.Transpose.TRANSPOSE] if turned else []
    turns += [Image.Transpose.FLIP_LEFT_RIGHT] if across < 0 else []
    return [*turns, Image.Transpose.FLIP_TOP_BOTTOM] if down < 0 else turns


def _measure(width: int, height: int, name: str) -> None:
    """Before anything is decoded."""
    if width * height > MOST_PIXELS:
        raise DataMissing(f"{name} is too large: {width} by {height} pixels")


def _within(seconds: float, name: str) -> float:
    if seconds > LONGEST:
        raise DataMissing(f"{name} lasts longer than {LONGEST:g} seconds")
    return seconds
