"""What shows of a PNG, JPEG or GIF file: its first picture without anything else.

1. Decoders see only what `shown` returns. What does not show (texts, profiles, previews, films,
   further frames) can't make them fail or work, whatever is in it.
2. The work is bounded by the number of parts of a file, each of which is looked at once.
3. EXIF is read by `app/core/images/exif.py`, for the orientation alone.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.core.images.exif import PREFIX, UPRIGHT, orientation

MOST_CHUNKS = 50_000  # of a PNG
MOST_SEGMENTS = 10_000  # of a JPEG, scans among them
MOST_BLOCKS = 250_000  # of a GIF, 255 bytes each at most

PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"GIF87a", b"GIF89a")
PNG_PARTS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # of a JPEG; in a scan's data none can stand
START, END, SCAN, EXIF, COMMENT = 0xD8, 0xD9, 0xDA, 0xE1, 0xFE
COLOURS = (0xE0, 0xEE)  # the JFIF and Adobe segments say what a JPEG's channels are
DROPPED = ({*range(0xE0, 0xF0)} - {*COLOURS}) | {COMMENT, START}
BROKEN = "can't be read: the file is broken or cut short"


class UnreadableFile(ValueError):
    """A file can't be used. The message goes on after the name of the param."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The bytes that make the picture, and how it is turned."""

    data: bytes
    orientation: int = UPRIGHT
    scans: int = 1
    """How often a JPEG's pixels are gone over."""
    ended: bool = True
    """Whether a JPEG has its end. Without it the data may still be whole."""


def shown(data: bytes) -> Shown:
    """Of a file of another kind all. Raises Unreadable."""
    for sign, read in READERS:
        if data.startswith(sign):
            return read(data)
    return Shown(data)


def _png(data: bytes) -> Shown:
    parts: dict[bytes, list[bytes]] = {name: [] for name in PNG_PARTS}
    turned = UPRIGHT
    for name, content, sound in _png_chunks(data):
        if name in parts and (sound or name == b"tRNS"):
            parts[name] += [content] * sound
        elif name in parts:
            raise UnreadableFile(BROKEN)
        elif name == b"eXIf":
            turned = orientation(content)
    joined = [(name, b"".join(contents)) for name, contents in parts.items() if contents]
    return Shown(PNG + b"".join(_png_chunk(*chunk) for chunk in [*joined, (b"IEND", b"")]), turned)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Name, content, and whether its checksum is right, up to the end, which must be there."""
    at = len(PNG)
    for _ in range(MOST_CHUNKS):
        length, name = struct.unpack(">I4s", data[at : at + 8].ljust(8, b"\0"))
        end = at + 12 + length
        if end > len(data):
            raise UnreadableFile(BROKEN)
        if name == b"IEND":
            return
        kept = name in PNG_PARTS
        sum_ = int.from_bytes(data[end - 4 : end])
        sound = not kept or zlib.crc32(data[at + 4 : end - 4]) == sum_
        yield name, data[at + 8 : end - 4] if kept or name == b"eXIf" else b"", sound
        at = end
    raise UnreadableFile(f"has more than {MOST_CHUNKS} chunks")


def _png_chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I4s", len(content), name) + content + struct.pack(">I", check)


def _jpeg(data: bytes) -> Shown:
    """Up to its end: phones append films."""
    parts, scans, exif = [b"\xff\xd8"], 0, b""
    for marker, start, end in _jpeg_segments(data):
        if marker == END:
            return Shown(b"".join([*parts, b"\xff\xd9"]), orientation(exif), scans)
        if marker == EXIF and not exif and data.startswith(PREFIX, start + 4):
            exif = data[start + 4 : end]
        if marker not in DROPPED:
            parts.append(data[start:end])
        scans += marker == SCAN
    return Shown(b"".join(parts), orientation(exif), scans, ended=False)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each; a scan's data is part of its segment."""
    match = MARKER.search(data, 2)
    for _ in range(MOST_SEGMENTS):
        if match is None:
            return
        marker, start = match[1][0], match.start()
        after = match.end() + int.from_bytes(data[match.end() : match.end() + 2])
        match = MARKER.search(data, after)
        yield marker, start, len(data) if match is None else match.start()
    raise UnreadableFile(f"has more than {MOST_SEGMENTS} segments")


def _gif(data: bytes) -> Shown:
    """The head, the colours, what is said of the first frame, and the frame."""
    head = 13 + _palette(data, 10)
    blocks, control = _GifBlocks(data, head), b""
    while True:
        start, introducer = blocks.at, data[blocks.at : blocks.at + 2]
        if introducer[:1] == b"!":
            end = blocks.skip(start + 2)
            control = data[start:end] if introducer == b"!\xf9" else control
        elif introducer[:1] == b",":
            end = blocks.skip(start + 11 + _palette(data, start + 9))
            return Shown(data[:head] + control + data[start:end] + b";")
        else:
            raise UnreadableFile(BROKEN)


@dataclass(slots=True)
class _GifBlocks:
    """Rows of blocks, each of which ends with an empty one."""

    data: bytes
    at: int
    blocks: int = 0

    def skip(self, start: int) -> int:
        """The place after a row of blocks."""
        self.at = start
        while self.at < len(self.data):
            self.blocks += 1
            if self.blocks > MOST_BLOCKS:
                raise UnreadableFile(f"has more than {MOST_BLOCKS} blocks")
            size = self.data[self.at]
            self.at += 1 + size
            if not size:
                return self.at
        raise UnreadableFile(BROKEN)


def _palette(data: bytes, flags: int) -> int:
    """The bytes of a palette, by the flags at this place."""
    if flags >= len(data):
        raise UnreadableFile(BROKEN)
    return 3 * 2 ** ((data[flags] & 7) + 1) if data[flags] & 0x80 else 0


READERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Shown]], ...] = (
    (PNG, _png),
    (JPEG, _jpeg),
    (GIF, _gif),
)
