"""The checkpoints folder: the directory is the registry, looked at afresh when it changes."""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.families import FAMILIES
from models.header import SUFFIX, CheckpointError, Header, file_sha256, read_header

log = logging.getLogger("atelier.shelf")

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Entry:
    """A checkpoint that can be served."""

    id: str
    path: Path
    header: Header
    sha256: str
    bytes: int


Mark = tuple[str, int, int, int]  # name, inode, size, time of change: the file's identity


class Shelf:
    """What lies in a folder of checkpoints. Files are hashed once, and again when they change."""

    def __init__(
        self, folder: Path, every: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._every, self._clock = folder, every, clock
        self._read: dict[Mark, Entry | CheckpointError] = {}
        self._looked: float | None = None

    def entries(self) -> dict[str, Entry]:
        """The usable checkpoints by id."""
        return {e.id: e for e in self._look().values() if isinstance(e, Entry)}

    def refused(self) -> dict[str, str]:
        """The unusable ones by id, and why."""
        held = self._look().items()
        return {m[0].removesuffix(SUFFIX): str(e) for m, e in held if not isinstance(e, Entry)}

    def _look(self) -> dict[Mark, Entry | CheckpointError]:
        now = self._clock()
        if self._looked is None or now - self._looked >= self._every:
            self._looked = now
            marks = sorted(_mark(p) for p in self._folder.glob(f"*{SUFFIX}") if p.is_file())
            self._read = {m: self._read.get(m) or self._open(m[0]) for m in marks}
        return self._read

    def _open(self, name: str) -> Entry | CheckpointError:
        path = self._folder / name
        try:
            return _entry(path)
        except (CheckpointError, OSError) as error:
            refusal = error if isinstance(error, CheckpointError) else CheckpointError("unreadable")
            log.warning("checkpoint refused", extra={"file": name, "reason": str(refusal)})
            return refusal


def _mark(path: Path) -> Mark:
    stat = path.stat()
    return path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _entry(path: Path) -> Entry:
    name = path.name.removesuffix(SUFFIX)
    if not ID.fullmatch(name):
        raise CheckpointError(f"{path.name}: an id has a-z, 0-9, dots, dashes and underscores")
    header = read_header(path)
    if header.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise CheckpointError(f"{path.name} is of unknown family {header.family!r}, not {known}")
    return Entry(name, path, header, file_sha256(path), path.stat().st_size)
