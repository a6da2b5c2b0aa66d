"""Any video to a clip: so many frames of a square, by PyAV, or by Pillow where it is a GIF or WebP.

The middle square of every frame, resized by LANCZOS, what can be seen through laid on white; frames
evenly over the whole, or from the beginning at a rate.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from training.data.cache import DataMissing
from training.data.squares import square

MOVING = frozenset({".gif", ".webp"})
FILMS = frozenset({".mp4", ".webm", ".mov", ".mkv", ".m4v"})
SUFFIXES = MOVING | FILMS
LONGEST = 600.0  # seconds
NEAR = 1e-6  # seconds: sums of parts of a second are never exact
MOST_PIXELS = 4096 * 4096
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
    return np.stack([shown[place][1] for place in times])


def _times(spans: list[float], name: str, frames: int, rate: float | None) -> list[int]:
    """Which of the frames, that stand for so many seconds each, are shown at the times wanted."""
    ends = np.cumsum(spans)
    whole = float(ends[-1])
    step = whole / frames if rate is None else 1 / rate
    if frames * step > whole + NEAR:
        need = f"{frames} frames at {rate:g} a second take {frames * step:.2f}"
        raise DataMissing(f"{name} lasts {whole:.2f} seconds, and {need}")
    wanted = (np.arange(frames) + (0.5 if rate is None else 0.0)) * step
    places = np.searchsorted(ends, wanted + NEAR, side="right")
    return [min(int(place), len(spans) - 1) for place in places]


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
        _measure(stream.width, stream.height, name)
        rate = float(stream.average_rate or 0)
        if rate <= 0:
            raise DataMissing(f"{name} does not say how fast it is")
        for number, frame in enumerate(box.decode(stream), 1):
            _within(number / rate, name)
            picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
            yield 1 / rate, square(picture, size, 3)


def _measure(width: int, height: int, name: str) -> None:
    """Before anything is decoded."""
    if width * height > MOST_PIXELS:
        raise DataMissing(f"{name} is too large: {width} by {height} pixels")


def _within(seconds: float, name: str) -> float:
    if seconds > LONGEST:
        raise DataMissing(f"{name} lasts longer than {LONGEST:g} seconds")
    return seconds
