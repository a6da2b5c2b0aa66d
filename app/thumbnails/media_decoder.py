"""What a thumbnail shows of a video or a sound, decoded in a process of its own."""

import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.images.image_reader import UnreadableFile

if TYPE_CHECKING:
    from PIL.Image import Image

PROGRAM = Path(__file__).with_name("media_process.py")
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # no secrets
PATIENCE = 20.0  # seconds; processor time has a narrower limit of its own

FORMATS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/mp4": "mp4",
}
"""FFmpeg's names for content types. A format that is named can't be mistaken for one that refers to
other files."""


@dataclass(frozen=True)
class Waveform:
    """The lowest and the highest sample of equal parts of a sound, in [-32768, 32767]."""

    peaks: tuple[tuple[int, int], ...]


def decode_media(data: bytes, content_type: str, width: int) -> "Image | Waveform":
    """The first frame of a video in mode RGB, or `width` peaks of a sound.

    A video without pictures is a sound. Blocks, for `PATIENCE` at most. Raises UnreadableFile.
    """
    kind = "film" if content_type.startswith("video/") else "sound"
    command = [sys.executable, "-I", str(PROGRAM), FORMATS[content_type], kind, str(width)]
    env = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    try:
        process = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreadableFile("takes too long to decode") from None
    if process.returncode:
        reason = "takes too much to decode" if process.returncode < 0 else "can't be decoded"
        raise UnreadableFile(reason)
    answer = process.stdout
    return _frame(answer[1:]) if answer[:1] == b"F" else _waveform(answer[1:])


def _frame(answer: bytes) -> "Image":
    from PIL import Image

    width, height, rotation = struct.unpack_from("<3i", answer)
    frame = Image.frombytes("RGB", (width, height), answer[12:])
    return frame.rotate(rotation, expand=True) if rotation else frame


def _waveform(answer: bytes) -> Waveform:
    samples = struct.unpack(f"<{len(answer) // 2}h", answer)
    return Waveform(tuple(zip(samples[::2], samples[1::2], strict=True)))
