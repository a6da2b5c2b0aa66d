"""Artifacts in a folder of this machine."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from app.core.store import (
    DISK_FULL,
    NAME,
    PAGE,
    PIECE,
    FileTooLarge,
    Full,
    Missing,
    Store,
    Unreachable,
)

FULL = {errno.ENOSPC: DISK_FULL, errno.EDQUOT: "the disk quota is used up"}
REFUSED = {
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "access is denied",
    errno.EPERM: "access is denied",
}
STALE_DRAFT = 86_400  # seconds after which a draft is what a killed process left


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
