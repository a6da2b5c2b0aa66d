"""Ogg streams (RFC 3533), numbered anew: an encoder numbers each at random, so that streams can be
mixed in one file, and no two files of the same sound would be alike."""

import struct
import zlib

SERIAL, CHECK, COUNT, TABLE = 14, 22, 26, 27  # where a page has its stream's number, and so on
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def renumbered(data: bytes, serial: int = 0) -> bytes:
    """The same pages, of a stream of this number."""
    pages, position = [], 0
    while position < len(data):
        page = bytearray(data[position : position + _length(data, position)])
        position += len(page)
        struct.pack_into("<I", page, SERIAL, serial)
        struct.pack_into("<I", page, CHECK, 0)
        struct.pack_into("<I", page, CHECK, checksum(page))
        pages.append(page)
    return b"".join(pages)


def _length(data: bytes, position: int) -> int:
    """Of a page: its head, its table of segments and these."""
    if data[position : position + 4] != b"OggS":
        raise ValueError("this is no page of an Ogg stream")
    table = position + TABLE
    count = data[position + COUNT]
    return TABLE + count + sum(data[table : table + count])


def checksum(page: bytes | bytearray) -> int:
    """A page's: the polynomial of zlib's CRC-32, but from the highest bit on and of nothing else,
    so zlib works it out on mirrored bytes."""
    crc = zlib.crc32(page.translate(MIRRORED), 2**32 - 1) ^ (2**32 - 1)
    return int(f"{crc:032b}"[::-1], 2)
