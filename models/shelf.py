"""The checkpoints folder: the directory is the registry, looked at afresh when it changes."""

import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.families import FAMILIES
from models.header import (
    PARTS,
    SUFFIX,
    CheckpointError,
    Header,
    file_sha256,
    part_path,
    read_header,
    read_table,
)

log = logging.getLogger("atelier.shelf")

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
FOREIGN = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".gguf"}  # weights that want `atelier import`


@dataclass(frozen=True)
class Entry:
    """A checkpoint that can be served."""

    id: str
    path: Path
    header: Header
    sha256: str
    bytes: int
    elements: int  # numbers in its tensors, and in those of the parts it needs
    precisions: frozenset[str]  # of the same, as safetensors calls them
    modified: int  # seconds since 1970


class PartMissing(CheckpointError):
    """A checkpoint needs another, which is not there."""


Stamp = tuple[int, ...]  # inode, size, time of change: tells that a file, or a part, has changed
Found = Mapping[str, Entry | CheckpointError]


class Shelf:
    """What lies in folders of checkpoints; of two files of one id, the first folder's counts.

    Files are hashed once, and again when they change.
    """

    def __init__(
        self, *folders: Path, every: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folders, self._every, self._clock = folders, every, clock
        self._opened: dict[Path, tuple[Stamp, Entry | CheckpointError]] = {}
        self._found: Found = {}
        self._looked: float | None = None

    def entries(self) -> dict[str, Entry]:
        """The usable checkpoints by id, as of at most `every` seconds ago."""
        now = self._clock()
        if self._looked is None or now - self._looked >= self._every:
            self._looked = now
            self.look()
        return {i: e for i, e in self._found.items() if isinstance(e, Entry)}

    def look(self) -> Found:
        """Every file by id, usable or not; the same object as before if nothing has changed."""
        stamps, before = dict(self._listing()), self._opened
        if stamps != {path: stamp for path, (stamp, _) in before.items()}:
            self._opened = {
                path: before[path]
                if path in before and before[path][0] == stamp and not _needy(before[path][1])
                else (stamp, self._open(path))
                for path, stamp in stamps.items()
            }
            found = {path.stem: found for path, (_, found) in self._opened.items()}
            self._found = dict(sorted(found.items()))
        return self._found

    def _listing(self) -> list[tuple[Path, Stamp]]:
        return [file for folder in reversed(self._folders) for file in self._files_in(folder)]

    def _files_in(self, folder: Path) -> list[tuple[Path, Stamp]]:
        files: list[tuple[Path, Stamp]] = []
        parts = _changed(folder / PARTS)
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.suffix in {SUFFIX, *FOREIGN} and not path.name.startswith("."):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # gone since it was listed
                files.append((path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, parts)))
        return files

    def _open(self, path: Path) -> Entry | CheckpointError:
        try:
            return _entry(path)
        except (CheckpointError, OSError) as error:
            told = isinstance(error, CheckpointError)
            reason = error if isinstance(error, CheckpointError) else CheckpointError(UNREADABLE)
            log.warning("%s is not served: %s", path.name, reason if told else error)
            return reason


UNREADABLE = "it can't be read"


def _entry(path: Path) -> Entry:
    if path.suffix != SUFFIX:
        raise CheckpointError(f"{path.name} is not a safetensors file; use `atelier import`")
    if not ID.fullmatch(path.stem):
        raise CheckpointError("its name must be of a-z, 0-9, dots, dashes and underscores")
    header, stat = read_header(path), path.stat()
    if header.family not in FAMILIES:
        raise CheckpointError(f"its family is unknown: {header.family}")
    files = [path, *(_part(path, header, role) for role in header.needs)]
    held = [_held(path) for path in files]
    elements, precisions = sum(n for n, _ in held), frozenset[str]().union(*(p for _, p in held))
    sha256, modified = file_sha256(path), int(stat.st_mtime)
    return Entry(path.stem, path, header, sha256, stat.st_size, elements, precisions, modified)


def _part(path: Path, header: Header, role: str) -> Path:
    """Whether it is the very one, its weights are asked when they are loaded."""
    part = part_path(path, header.needs[role].id)
    if not part.exists():
        raise PartMissing(f"it needs the part {part.stem}, which is not in the folder {PARTS}")
    return part


def _needy(found: Entry | CheckpointError) -> bool:
    """Whether what else is there may have made it another."""
    return isinstance(found, PartMissing) or (isinstance(found, Entry) and bool(found.header.needs))


def _held(path: Path) -> tuple[int, set[str]]:
    """How many numbers the tensors of a file have, and in which precisions."""
    tensors = [t for name, t in read_table(path).items() if name != "__metadata__"]
    return sum(math.prod(t["shape"]) for t in tensors), {t["dtype"] for t in tensors}


def _changed(folder: Path) -> int:
    """When a file was last put into a folder, taken away or replaced there; 0 if there is none."""
    return folder.stat().st_mtime_ns if folder.is_dir() else 0
