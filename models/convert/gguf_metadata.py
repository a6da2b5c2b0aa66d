"""What a GGUF file says of itself, before its tensors: read within bounds, and refused by name."""

import mmap
import struct
from pathlib import Path
from typing import Any

from models.checkpoint.header import CheckpointError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST = 2**24  # entries of a list; the largest vocabularies have a quarter of a million
FORMATS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""How `struct` calls the kinds of values that have a fixed width."""
STRING, LIST = 8, 9


def read_metadata(path: Path) -> dict[str, Any]:
    """All keys and values. Raises CheckpointError where the file is no GGUF file, is cut short, or
    is of a form that can't be read."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise CheckpointError(f"{path.name} is neither a folder nor a GGUF file")
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data, path.name).metadata()
        except (struct.error, UnicodeDecodeError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            message = f"{path.name} can't be read: its metadata is broken, or it is cut short"
            raise CheckpointError(message) from None


class _Reader:
    """A place in a file, which what is read moves on."""

    def __init__(self, data: mmap.mmap, name: str) -> None:
        self._data, self._name, self._at = data, name, len(MAGIC)

    def metadata(self) -> dict[str, Any]:
        version = self._number("I")
        if not version & 0xFFFF:
            raise CheckpointError(
                f"{self._name} is a big-endian GGUF file: convert it to little-endian first"
            )
        if version not in VERSIONS:
            known = " and ".join(map(str, VERSIONS))
            raise CheckpointError(f"{self._name} is GGUF of version {version}; known are {known}")
        self._number("Q")  # of tensors
        count = self._bounded(self._number("Q"))
        return {self._string(): self._value(self._number("I")) for _ in range(count)}

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == LIST:
            return self._list(self._number("I"), self._bounded(self._number("Q")))
        return self._number(self._format(kind))

    def _list(self, kind: int, count: int) -> list[Any]:
        if kind == STRING:
            return [self._string() for _ in range(count)]
        layout = f"<{count}{self._format(kind)}"
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return list(values)

    def _format(self, kind: int) -> str:
        if kind not in FORMATS:
            raise CheckpointError(f"{self._name} has metadata of an unknown kind: {kind}")
        return FORMATS[kind]

    def _bounded(self, count: int) -> int:
        if count > MOST:
            raise CheckpointError(f"{self._name} has {count} entries in a list; {MOST} are read")
        return count

    def _number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def _string(self) -> str:
        length = self._number("Q")
        raw = self._data[self._at : self._at + length]
        if len(raw) < length:
            raise CheckpointError(f"{self._name} is cut short")
        self._at += length
        return raw.decode()
