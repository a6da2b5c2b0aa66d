"""The checkpoints folder: the directory is the registry, looked at afresh when it changes."""

import errno
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint.header import (
    COMPONENTS,
    SUFFIX,
    CheckpointError,
    Header,
    component_path,
    file_sha256,
    read_header,
)
from models.checkpoint.safetensors_table import read_table
from models.families import FAMILIES

log = logging.getLogger("atelier.shelf")

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
FOREIGN = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".gguf"}  # weights that want `atelier import`


@dataclass(frozen=True)
class CheckpointEntry:
    """A checkpoint that can be served."""

    id: str
    path: Path
    header: Header
    sha256: str
    bytes: int
    elements: int  # numbers in its tensors, and in those of the parts it needs
    precisions: frozenset[str]  # of the same, as safetensors calls them
    modified: int  # seconds since 1970


class ComponentMissing(CheckpointError):
    """A checkpoint needs another, which is not there."""


Stamp = tuple[int, ...]  # inode, size, time of change: tells that a file, or a part, has changed
Found = Mapping[str, CheckpointEntry | CheckpointError]


class CheckpointRegistry:
    """What lies in folders of checkpoints; of two files of one id, the first folder's counts.

    Files are hashed once, and again when they change.
    """

    def __init__(
        self, *folders: Path, every: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folders, self._every, self._clock = folders, every, clock
        self._opened: dict[Path, tuple[Stamp, CheckpointEntry | CheckpointError]] = {}
        self._entries: Found = {}
        self._looked: float | None = None

    def entries(self) -> dict[str, CheckpointEntry]:
        """The usable checkpoints by id, as of at most `every` seconds ago."""
        now = self._clock()
        if self._looked is None or now - self._looked >= self._every:
            self._looked = now
            self.look()
        return {i: e for i, e in self._entries.items() if isinstance(e, CheckpointEntry)}

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
            entries = {path.stem: entries for path, (_, entries) in self._opened.items()}
            self._entries = dict(sorted(entries.items()))
        return self._entries

    def _listing(self) -> list[tuple[Path, Stamp]]:
        return [file for folder in reversed(self._folders) for file in self._files_in(folder)]

    def _files_in(self, folder: Path) -> list[tuple[Path, Stamp]]:
        parts = _changed(folder / COMPONENTS)
        try:
            paths = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            paths = []
        except OSError as error:
            log.error("a folder of checkpoints can't be read: %s", error)
            paths = []
        stamps = [(path, _stamp(path)) for path in paths if _is_weights(path)]
        return [(path, (*stamp, parts)) for path, stamp in stamps if stamp]

    def _open(self, path: Path) -> CheckpointEntry | CheckpointError:
        """The checkpoint in a file, or why there is none: whatever it is, it fails by itself."""
        try:
            return _entry(path)
        except CheckpointError as error:
            log.warning("%s is not served: %s", path.name, error)
            return error
        except OSError as error:
            log.warning("%s is not served: %s", path.name, error)
            return CheckpointError(UNREADABLE.get(error.errno or 0, "it can't be read"))
        except Exception:
            log.exception("%s is not served", path.name)
            return CheckpointError("it can't be read")


def _is_weights(path: Path) -> bool:
    return path.suffix.lower() in {SUFFIX, *FOREIGN} and not path.name.startswith(".")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells that a file has changed; None if it is gone since it was listed. A link that leads
    nowhere counts as it is, to be reported."""
    try:
        stat = path.stat()
    except OSError:
        try:
            stat = path.lstat()
        except OSError:
            return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


UNREADABLE = {
    errno.ELOOP: "it is a link that leads to itself",
    errno.ENOENT: "it is a link to a file that is not there",
    errno.EACCES: "the service has no permission to read it",
}
"""Why a file can't be opened, by error number."""


def _entry(path: Path) -> CheckpointEntry:
    if path.suffix != SUFFIX and path.suffix.lower() == SUFFIX:
        raise CheckpointError(f"its name must end in {SUFFIX}, in small letters")
    if path.suffix != SUFFIX:
        raise CheckpointError(f"{path.name} is not a safetensors file; use `atelier import`")
    if not ID.fullmatch(path.stem):
        raise CheckpointError("its name must be of a-z, 0-9, dots, dashes and underscores")
    header, stat = read_header(path), path.stat()
    if header.family not in FAMILIES:
        raise CheckpointError(f"its family is unknown: {header.family}")
    files = [path, *(_component(path, header, role) for role in header.requires)]
    tensors = [tensor for file in files for tensor in read_table(file).tensors.values()]
    elements, precisions = sum(t.elements for t in tensors), frozenset(t.dtype for t in tensors)
    sha256, modified = file_sha256(path), int(stat.st_mtime)
    return CheckpointEntry(
        path.stem, path, header, sha256, stat.st_size, elements, precisions, modified
    )


def _component(path: Path, header: Header, role: str) -> Path:
    """Whether it is the very one, its weights are asked when they are loaded."""
    component = component_path(path, header.requires[role].id)
    if not component.exists():
        raise ComponentMissing(
            f"it needs the part {component.stem}, which is not in the folder {COMPONENTS}"
        )
    return component


def _needy(entry: CheckpointEntry | CheckpointError) -> bool:
    """Whether what else is there may have made it another."""
    return isinstance(entry, ComponentMissing) or (
        isinstance(entry, CheckpointEntry) and bool(entry.header.requires)
    )


def _changed(folder: Path) -> int:
    """When a file was last put into a folder, taken away or replaced there; 0 if nobody can tell"""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
