"""Artifact bytes by their SHA-256; `app/core/stores/` has a store for each kind of place.

StoreError         the message is a reason that may be shown: it names no path and no host
├── Missing        there is no such artifact
├── FileTooLarge   the store takes no file of this size: the file's own fault
├── Full           the disk or its quota is full
└── Unreachable    the store does not answer, or refuses

1. The only names are 64 hex digits, so that no request reaches another file.
2. When `put` returns, the bytes are durable: temporary name, fsync, rename, fsync of the folder.
3. A put of bytes that are there refreshes their time.
4. Everything blocks; the API calls it from threads.
"""

import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO

NAME = re.compile(r"[0-9a-f]{64}")
DISK_FULL = "the disk is full"
NO_ANSWER = "it does not answer"
PIECE = 2**20  # bytes of a file that are in memory at once
PAGE = 1000  # names listed at once


class StoreError(Exception):
    """The store can't do what was asked."""


class Missing(StoreError):
    pass


class FileTooLarge(StoreError):
    pass


class Full(StoreError):
    pass


class Unreachable(StoreError):
    pass


class Store(ABC):
    """Where artifacts are kept. Safe to share between threads."""

    def put(self, data: bytes) -> str:
        """Keep these bytes; returns their SHA-256 once they are durable."""
        return self.put_file(io.BytesIO(data))

    def put_file(self, file: BinaryIO) -> str:
        """Keep the bytes of a file, of which only pieces are in memory; returns their SHA-256
        once they are durable."""
        sha256, size = hash_file(file)
        file.seek(0)
        try:
            self._write(sha256, file, size)
        except Missing as error:
            raise Unreachable("its folder or bucket is gone") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        return self.read(sha256, 0, self.stat(sha256))

    def stat(self, sha256: str) -> int:
        """Their size in bytes. Raises Missing."""
        return self._size(_checked(sha256))

    def exists(self, sha256: str) -> bool:
        try:
            self.stat(sha256)
        except Missing:
            return False
        return True

    def read(self, sha256: str, start: int, length: int) -> bytes:
        """The bytes from `start`, `length` of them, fewer at the end. Raises Missing."""
        return self._read(_checked(sha256), start, length) if length else b""

    def chunks(self, sha256: str, size: int = 2**20) -> Iterator[bytes]:
        """The bytes in pieces; nothing is held open between two of them."""
        total = self.stat(sha256)
        for start in range(0, total, size):
            yield self.read(sha256, start, min(size, total - start))

    def delete(self, sha256: str) -> None:
        """Drop these bytes, if they are there."""
        self._remove(_checked(sha256))

    def page(self, after: str = "") -> list[tuple[str, float]]:
        """The hashes that sort after this one, `PAGE` at most, with the times of their last put.

        Empty at the end. Files with other names are not listed.
        """
        return self._page(after)

    @abstractmethod
    def _write(self, name: str, file: BinaryIO, size: int) -> None: ...

    @abstractmethod
    def _size(self, name: str) -> int: ...

    @abstractmethod
    def _read(self, name: str, start: int, length: int) -> bytes: ...

    @abstractmethod
    def _remove(self, name: str) -> None: ...

    @abstractmethod
    def _page(self, after: str) -> list[tuple[str, float]]: ...


def hash_file(file: BinaryIO) -> tuple[str, int]:
    """The SHA-256 of a file's bytes, and how many there are."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def _checked(sha256: str) -> str:
    if not NAME.fullmatch(sha256):
        raise Missing("no such artifact")
    return sha256
