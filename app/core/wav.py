"""The WAV format (RIFF, 16-bit PCM): what stands before the samples. No numpy, no torch."""

import struct

CONTENT_TYPE = "audio/wav"
SAMPLE = 2  # bytes
UNKNOWN = 2**32 - 1  # the length of what is still being made: players then play on to its end


def wav_header(rate: int, channels: int, size: int | None, comment: str = "") -> bytes:
    """All of a file but its samples, of which there are `size` bytes, or nobody knows yet.

    Samples are little-endian, the channels of one moment side by side. The comment (ASCII) stands
    before them, where readers of tags look for it.
    """
    frame = SAMPLE * channels
    sound = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16)
    chunks = sound + (_comment_chunk(comment) if comment else b"")
    whole = UNKNOWN if size is None else len(b"WAVE") + len(chunks) + 8 + size
    data = UNKNOWN if size is None else size
    return (
        struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + chunks + struct.pack("<4sI", b"data", data)
    )


def _comment_chunk(comment: str) -> bytes:
    """A LIST of the kind INFO with one entry, ICMT: text that ends in a zero, of an even length."""
    text = comment.encode("ascii") + b"\0"
    text += b"\0" * (len(text) % 2)
    return struct.pack("<4sI4s4sI", b"LIST", 12 + len(text), b"INFO", b"ICMT", len(text)) + text
