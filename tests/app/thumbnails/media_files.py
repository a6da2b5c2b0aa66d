"""Small pictures, films, sounds and scores for the tests of thumbnails."""

import io
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from models.music.midi import write_midi
from models.score import Note, Score

RED, BLUE = (200, 10, 10), (10, 10, 200)
RATE = 8000
NOISE = np.random.default_rng(3)
UPRIGHT = (0x10000).to_bytes(4) + bytes(12) + (0x10000).to_bytes(4) + bytes(12)
TURNED = bytes(4) + (0x10000).to_bytes(4) + bytes(4) + (0xFFFF0000).to_bytes(4) + bytes(16)
"""Matrices of a track of MP4: as it is, and a quarter turn clockwise."""


def pixels(width: int, height: int, channels: int = 3) -> NDArray[np.uint8]:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return NOISE.integers(0, 256, shape, dtype=np.uint8)


def picture_file(picture: NDArray[np.uint8], file_format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, file_format)
    return out.getvalue()


def animation(file_format: str, *colours: tuple[int, int, int]) -> bytes:
    first, *others = (Image.new("RGB", (20, 10), colour) for colour in colours)
    out = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    first.save(out, file_format, save_all=True, append_images=others, **options)
    return out.getvalue()


def film(file_format: str, codec: str, *, turned: bool = False) -> bytes:
    """Red on the left and blue on the right at first, and then grey."""
    first = np.full((32, 64, 3), RED, np.uint8)
    first[:, 32:] = BLUE
    out = io.BytesIO()
    with av.open(out, "w", format=file_format) as box:
        stream = box.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for shown in (first, np.full((32, 64, 3), 128, np.uint8)):
            box.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        box.mux(stream.encode())
    data = out.getvalue()
    if not turned:
        return data
    track = data.index(b"tkhd")
    return data[:track] + data[track:].replace(UPRIGHT, TURNED, 1)


def sound_file(samples: NDArray[np.int16], file_format: str, subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", RATE, 1, subtype, format=file_format) as file:
        for start in range(0, len(samples), 4096):
            file.write(samples[start : start + 4096])
    return out.getvalue()


def score_file(*notes: tuple[float, float, int]) -> bytes:
    return write_midi(Score(tuple(Note(onset, end, pitch) for onset, end, pitch in notes)))
