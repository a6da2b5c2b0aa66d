"""Artifact bytes by their SHA-256, in a folder (file://) or a bucket (s3://).

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

import errno
import hashlib
import io
import os
import re
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from app.core.addresses import read_store_address
from app.core.settings import Misconfigured, Settings

NAME = re.compile(r"[0-9a-f]{64}")
WRONG_FOLDER = (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError)
"""What waiting does not cure, of a folder that is being opened."""
DISK_FULL = "the disk is full"
NO_ANSWER = "it does not answer"
FULL = {errno.ENOSPC: DISK_FULL, errno.EDQUOT: "the disk quota is used up"}
REFUSED = {
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "access is denied",
    errno.EPERM: "access is denied",
}
STATUS = re.compile(r"status code: ([0-9]{3})")
INSUFFICIENT_STORAGE = "507"  # what S3 servers answer whose disk is full
PIECE = 2**20  # bytes of a file that are in memory at once
ONE_REQUEST = 8 * 2**20  # bytes of a file that is put into a bucket at once
PAGE = 1000  # names listed at once
STALE_DRAFT = 86_400  # seconds after which a draft is what a killed process left


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

    @staticmethod
    def open(address: str, timeout: float = 20.0) -> "Store":
        """The store of an address: file:///folder or s3://bucket/prefix. Raises ValueError.

        A bucket's server is given up after `timeout` seconds. Nothing can interrupt a call of a
        disk that hangs: callers that must not hang use a `ThreadPool`.
        """
        parts = read_store_address(address)
        if parts.folder is not None:
            return FolderStore(parts.folder)
        return BucketStore(parts.bucket, parts.prefix, timeout)

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


def open_store(settings: Settings) -> Store:
    """The store of the settings. Raises Misconfigured where no such store can be used."""
    name = "ATELIER_STORE" if settings.store else "ATELIER_STATE"
    try:
        return Store.open(settings.store_address, settings.store_timeout)
    except (ValueError, BaseError) as error:  # obstore's, for what it reads from AWS_* variables
        raise Misconfigured(f"{name}: {str(error).splitlines()[0]}") from None
    except StoreError as error:
        if isinstance(error.__cause__, WRONG_FOLDER):
            reason = error.__cause__.strerror
            raise Misconfigured(f"{name}: the artifact store can't be used: {reason}") from None
        raise


def _checked(sha256: str) -> str:
    if not NAME.fullmatch(sha256):
        raise Missing("no such artifact")
    return sha256


class FolderStore(Store):
    """A folder of 256 shards on a local disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drafts = folder / "drafts"
        with self._disk_errors():
            self._drafts.mkdir(parents=True, exist_ok=True)
            for draft in self._drafts.iterdir():
                with suppress(OSError):  # another process tidies too, or the disk is read-only
                    if draft.stat().st_mtime < time.time() - STALE_DRAFT:
                        draft.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _write(self, name: str, file: BinaryIO, size: int) -> None:
        path = self._path(name)
        with self._disk_errors():
            if not _refreshed(path, size):
                if not path.parent.is_dir():
                    path.parent.mkdir(exist_ok=True)
                    _sync_folder(self._folder)
                self._draft(file).rename(path)
            _sync_folder(path.parent)

    def _draft(self, file: BinaryIO) -> Path:
        number, name = tempfile.mkstemp(dir=self._drafts)
        draft = Path(name)
        try:
            with os.fdopen(number, "wb") as out:
                shutil.copyfileobj(file, out, PIECE)
                out.flush()
                os.fsync(number)
        except OSError:
            draft.unlink()
            raise
        return draft

    def _size(self, name: str) -> int:
        with self._disk_errors():
            return self._path(name).stat().st_size

    def _read(self, name: str, start: int, length: int) -> bytes:
        with self._disk_errors(), self._path(name).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def _remove(self, name: str) -> None:
        with self._disk_errors():
            self._path(name).unlink(missing_ok=True)

    def _page(self, after: str) -> list[tuple[str, float]]:
        names: list[tuple[str, float]] = []
        for shard in range(int(after[:2] or "0", 16), 256):
            with self._disk_errors():
                names += sorted(_names_in(self._folder / f"{shard:02x}", after))
            if len(names) >= PAGE:
                break
        return names[:PAGE]

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if self._drafts.is_dir():
                raise Missing("no such artifact") from None
            raise Unreachable("its folder is gone") from error  # such as a disk that isn't mounted
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise FileTooLarge("the file is too large for the artifact store") from error
            if error.errno in FULL:
                raise Full(FULL[error.errno]) from error
            raise Unreachable(_reason_of(error)) from error


def _names_in(shard: Path, after: str) -> Iterator[tuple[str, float]]:
    """The artifacts of a shard that sort after this name, with the times of their last put."""
    try:
        entries = [e for e in os.scandir(shard) if NAME.fullmatch(e.name) and e.name > after]
    except FileNotFoundError:
        return
    for entry in entries:
        with suppress(FileNotFoundError):  # it has been deleted meanwhile
            yield entry.name, entry.stat().st_mtime


def _reason_of(error: OSError) -> str:
    return REFUSED.get(error.errno or 0) or os.strerror(error.errno or errno.EIO).lower()


def _refreshed(path: Path, size: int) -> bool:
    try:
        os.utime(path)
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class BucketStore(Store):
    """An S3 bucket, or what speaks like one.

    Endpoint, region and credentials come from the standard AWS_* variables of the environment
    (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and so on), which
    obstore reads by itself.
    """

    def __init__(self, bucket: str, prefix: str, timeout: float) -> None:
        limit = timedelta(seconds=timeout)
        self._bucket = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": True,  # the endpoint says whether; none is tried by itself
                "connect_timeout": min(timedelta(seconds=3), limit),
                "timeout": limit,
            },
            retry_config={"max_retries": 3, "retry_timeout": limit},
        )

    def _write(self, name: str, file: BinaryIO, size: int) -> None:
        with _bucket_errors():
            whole = size <= ONE_REQUEST  # else in parts, which costs two requests more
            obstore.put(
                self._bucket, name, file.read() if whole else iter(partial(file.read, PIECE), b"")
            )

    def _size(self, name: str) -> int:
        with _bucket_errors():
            return obstore.head(self._bucket, name)["size"]

    def _read(self, name: str, start: int, length: int) -> bytes:
        with _bucket_errors():
            return obstore.get_range(self._bucket, name, start=start, length=length).to_bytes()

    def _remove(self, name: str) -> None:
        with _bucket_errors(), suppress(FileNotFoundError):
            obstore.delete(self._bucket, name)

    def _page(self, after: str) -> list[tuple[str, float]]:
        names: list[tuple[str, float]] = []
        with _bucket_errors():
            for chunk in obstore.list(self._bucket, offset=after or None, chunk_size=PAGE):
                for item in chunk:
                    if NAME.fullmatch(item["path"]):
                        names.append((item["path"], item["last_modified"].timestamp()))
                if names:
                    break
        return names[:PAGE]


@contextmanager
def _bucket_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Missing("no such artifact") from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Unreachable("access is denied") from error
    except (BaseError, OSError) as error:
        status = STATUS.search(str(error))
        if status is None:
            raise Unreachable(NO_ANSWER) from error
        if status[1] == INSUFFICIENT_STORAGE:
            raise Full(DISK_FULL) from error
        raise Unreachable(f"its server answers with status {status[1]}") from error
