"""The embedded server's append-only log: how to repair it after a power cut, and why it fails.

After a power cut a log may end in zeros, where the file system had extended the file but not yet
written to it. The server refuses such a log. Each command in a log ends in a line break, and the
server syncs it before it acknowledges it. So trailing zeros contain nothing that was acknowledged,
and can be cut. The server itself drops an incomplete command before them, and refuses other damage.
"""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FOLDER = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
PART = re.compile(r"^file (\S+) seq (\d+) type i\b", re.MULTILINE)
BLOCK = 2**20
UNREADABLE = (
    "Bad file format",
    "AOF manifest",
    "Unable to obtain the AOF file",
    "Unexpected EOF reading RDB",
)
"""Messages of the server about a log that it will never be able to read."""


class Cut(NamedTuple):
    """The number of zeros that were cut, and the copy of the log's end."""

    zeros: int
    copy: Path


def repair_log(data: Path, server: str | Path) -> Cut | None:
    """Cuts the zeros at the end of a log, and copies the end first. The server must not run."""
    log = newest_file(data)
    if log is None or not (zeros := trailing_zeros(log)):
        return None
    size = log.stat().st_size
    readable = min(readable_bytes(log, server), size - zeros)
    copy = data / f"cut-{time.strftime('%Y%m%dT%H%M%S')}-from-byte-{readable}.aof"
    _copy_end(log, readable, size - zeros, copy)
    with log.open("r+b") as file:
        file.truncate(size - zeros)
        os.fsync(file.fileno())
    return Cut(zeros, copy)


def newest_file(data: Path) -> Path | None:
    """Returns the file that the server appends to, by its manifest; None before its first start."""
    try:
        manifest = (data / FOLDER / MANIFEST).read_text(errors="replace")
    except OSError:  # the server will say what is wrong
        return None
    parts = [(int(number), name) for name, number in PART.findall(manifest)]
    path = data / FOLDER / max(parts)[1] if parts else None
    return path if path and path.is_file() else None


def trailing_zeros(path: Path) -> int:
    """Returns the number of zero bytes at the end of a file."""
    with path.open("rb") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            file.seek(start)
            rest = file.read(end - start).rstrip(b"\0")
            if rest:
                return size - start - len(rest)
            end = start
    return size


def readable_bytes(log: Path, server: str | Path) -> int:
    """Returns how many bytes of a log the server's own checker can read."""
    check = subprocess.run(
        ["redis-check-aof", log],  # under this name Valkey and Redis check a log
        executable=server,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    match = re.search(rb"ok_up_to=(\d+)", check.stdout)
    return int(match[1]) if match else log.stat().st_size


def _copy_end(log: Path, start: int, end: int, copy: Path) -> None:
    """Copies the log from `start` durably. The zeros from `end` on take no room on the disk."""
    number = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with log.open("rb") as source, os.fdopen(number, "wb") as file:
        source.seek(start)
        left = end - start
        while left:
            left -= file.write(source.read(min(BLOCK, left)))
        file.truncate(log.stat().st_size - start)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(copy.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def reason_in(lines: Sequence[str]) -> str:
    """Returns the last warning in a server's log, or an empty text."""
    warnings = (line.partition(" # ")[2].strip() for line in lines)
    return next((w for w in reversed([*warnings]) if w and not w.startswith("WARNING ")), "")


def last_reason(file: Path, start: int = 0) -> str:
    """Returns the last warning in a server's log file from byte `start` on."""
    try:
        with file.open("rb") as log:
            log.seek(max(start, log.seek(0, os.SEEK_END) - BLOCK))
            return reason_in(log.read().decode(errors="replace").splitlines())
    except OSError:
        return ""


def is_unreadable(reason: str) -> bool:
    """Whether a restart of the server can't help."""
    return any(text in reason for text in UNREADABLE)
