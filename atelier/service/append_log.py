"""The embedded server's append-only log: its end after a power cut, and why a server refused it.

A file system may leave zeros at the end of a file that grew and was not yet written. The server
refuses such a log. Every command in it ends in a line break, and the server syncs a command before
it acknowledges it, so zeros at the end hold nothing that was acknowledged: they can be cut. What
stands before them is for the server to judge. It drops a command that is cut short by itself, and
refuses everything else.
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
"""What the server says of a log that it will never be able to read."""


class Cut(NamedTuple):
    """What was cut off a log, and where its copy is."""

    zeros: int
    copy: Path


def repair(data: Path, server: str | Path) -> Cut | None:
    """Cut the zeros that end the log of a server that does not run, once they are copied."""
    log = newest_part(data)
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


def newest_part(data: Path) -> Path | None:
    """The file that the server appends to, as its manifest says; None before its first start."""
    try:
        manifest = (data / FOLDER / MANIFEST).read_text(errors="replace")
    except OSError:  # the server will say what is wrong
        return None
    parts = [(int(number), name) for name, number in PART.findall(manifest)]
    path = data / FOLDER / max(parts)[1] if parts else None
    return path if path and path.is_file() else None


def trailing_zeros(path: Path) -> int:
    """How many zero bytes end a file."""
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
    """How far the server's own checker can read a log."""
    said = subprocess.run(
        ["redis-check-aof", log],  # under this name Valkey and Redis check a log
        executable=server,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    match = re.search(rb"ok_up_to=(\d+)", said.stdout)
    return int(match[1]) if match else log.stat().st_size


def _copy_end(log: Path, start: int, end: int, copy: Path) -> None:
    """Copy the log from `start` on durably; the zeros from `end` on take no room on the disk."""
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
    """The last thing that a server's log warns of, empty if there is none."""
    warnings = (line.partition(" # ")[2].strip() for line in lines)
    return next((w for w in reversed([*warnings]) if w and not w.startswith("WARNING ")), "")


def last_reason(file: Path, start: int = 0) -> str:
    """The last warning of a server's log file, from byte `start` on."""
    try:
        with file.open("rb") as log:
            log.seek(max(start, log.seek(0, os.SEEK_END) - BLOCK))
            return reason_in(log.read().decode(errors="replace").splitlines())
    except OSError:
        return ""


def is_unreadable(reason: str) -> bool:
    """Whether no further start of the server can help."""
    return any(text in reason for text in UNREADABLE)
