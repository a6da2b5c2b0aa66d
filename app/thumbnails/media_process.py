"""Decodes one video or sound, in a process of its own: the file is a stranger's.

It is run as a script and imports PyAV and the standard library alone. Its arguments are the format
of the file, `sound` or `film`, and a width. It reads the file from standard input and answers with
bytes, little-endian:

1. `F`, then three 32-bit numbers, width, height and rotation, then pixels in RGB: the first frame
   of a film, to be turned counterclockwise by so many degrees. No side is longer than four times
   the width that was asked for.
2. `S`, then pairs of 16-bit numbers, as many as the width: the lowest and the highest sample of
   equal parts of a sound.
3. Nothing, and the exit status 1, for what can't be decoded.
"""

import io
import resource
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress

import av
from av.container import InputContainer
from av.video.reformatter import Interpolation

SECONDS = 10  # of processor time
MEMORY = 2**30  # bytes of address space
TALLEST = 4  # times the width: no side of a frame is longer
MOST_PIXELS = 16_000_000  # of a frame
MOST_SAMPLES = 30_000_000  # of a sound: ten minutes at 48 kHz; the rest is not drawn
CHUNK = 256  # samples whose lowest and highest are looked for at once

Peak = tuple[int, int]
"""The lowest and the highest of some samples, in 16 bits."""


def first_frame(box: InputContainer, longest: int) -> bytes:
    """Raises StopIteration or an error of PyAV where there is none."""
    stream = box.streams.video[0]
    if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
        raise ValueError("the frame is too large")
    stream.codec_context.thread_count = 1
    frame = next(box.decode(stream))
    pixel = float(stream.sample_aspect_ratio or 1)  # how many times as wide as high
    wide, high = frame.width * max(pixel, 1.0), frame.height / min(pixel, 1.0)
    scale = min(1.0, longest / max(wide, high))
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    plain = frame.reformat(*size, format="rgb24", interpolation=Interpolation.AREA)
    plane = plain.planes[0]
    data, step = bytes(plane), plane.line_size
    rows = (data[step * y : step * y + 3 * size[0]] for y in range(size[1]))
    return b"F" + struct.pack("<3i", *size, round(frame.rotation)) + b"".join(rows)


def peaks(box: InputContainer) -> Iterator[Peak]:
    """Of each CHUNK of the samples. Channels are mixed; an error ends them early."""
    stream = box.streams.audio[0]
    plain = av.AudioResampler(format="s16", layout="mono", rate=stream.rate)
    count = 0
    with suppress(av.FFmpegError):
        for frame in box.decode(stream):
            for mixed in plain.resample(frame):
                samples = array("h", bytes(mixed.planes[0])[: 2 * mixed.samples])
                for start in range(0, len(samples), CHUNK):
                    chunk = samples[start : start + CHUNK]
                    yield min(chunk), max(chunk)
                count += len(samples)
            if count > MOST_SAMPLES:
                return


def columns(every: Sequence[Peak], width: int) -> bytes:
    """The peaks of so many equal parts of a sound. Raises IndexError where it has no samples."""
    flat = array("h")
    for column in range(width):
        start = column * len(every) // width
        chunk = every[start : max(start + 1, (column + 1) * len(every) // width)]
        flat.append(min(low for low, _ in chunk))
        flat.append(max(high for _, high in chunk))
    if sys.byteorder == "big":
        flat.byteswap()
    return b"S" + flat.tobytes()


def main() -> None:
    """Answer once. Its parent says when it takes too long."""
    with suppress(ValueError, OSError):  # not every system has these limits
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    file_format, kind, width = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with av.open(io.BytesIO(sys.stdin.buffer.read()), "r", format=file_format) as box:
        if kind == "film" and box.streams.video:
            answer = first_frame(box, TALLEST * width)
        else:
            answer = columns(list(peaks(box)), width)
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    try:
        main()
    except Exception:  # whatever a stranger's file does to a decoder
        sys.exit(1)
