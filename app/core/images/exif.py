"""The orientation in EXIF data; nothing else of it is read.

Other tags are skipped where they stand: what they refer to may be broken, or as large as the file.
"""

import struct

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
SHORT, LONG = 3, 4
UPRIGHT = 1


def orientation(exif: bytes) -> int:
    """1 to 8, as EXIF counts; 1 where it is not said, or not in a way that viewers read."""
    while exif.startswith(PREFIX):  # some writers say it twice
        exif = exif.removeprefix(PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    try:
        return UPRIGHT if order is None else _tag(exif, order)
    except struct.error:
        return UPRIGHT


def _tag(exif: bytes, order: str) -> int:
    """Raises struct.error for a directory that is not there, or is cut short before the tag."""
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    (entries,) = struct.unpack_from(order + "H", exif, directory)
    for start in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", exif, start)
        if tag == ORIENTATION and kind in (SHORT, LONG) and count:
            (value,) = struct.unpack_from(order + ("H" if kind == SHORT else "I"), exif, start + 8)
            return value if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
