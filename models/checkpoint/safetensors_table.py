"""Reads the table of tensors at the start of a safetensors file, without torch.

A file is eight bytes of length, a JSON table, then the bytes of the tensors. Every rule of the
format that a stranger's file can break is checked here, so that a file fails by itself.
"""

import json
import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_TABLE = 16 * 2**20  # bytes
METADATA = "__metadata__"
BITS = {
    "BOOL": 8,
    **dict.fromkeys(("U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits of a number of each precision that torch can load."""

NOT_WEIGHTS = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (b"<!doctype html", "a web page, perhaps of a download that was refused"),
    (b"<html", "a web page, perhaps of a download that was refused"),
    (b"gguf", "a GGUF file: use `atelier import gguf`"),
)
"""How files that stand where weights should begin, in lower case, and what they are."""


class CheckpointError(ValueError):
    """A checkpoint file can't be used; the message says why, without its folder."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor as the table describes it."""

    dtype: str  # a key of BITS
    shape: tuple[int, ...]
    begin: int  # bytes from the end of the table
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Table:
    """The metadata of a file and its tensors by name."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, TensorEntry]


def read_table(path: Path) -> Table:
    """Returns the table of a safetensors file. Raises CheckpointError if the file breaks a rule of
    the format, is cut short, or is something else, and OSError if it can't be read."""
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
        raise CheckpointError(f"{path.name} is not a regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(64)
        if kind := not_weights(start):
            raise CheckpointError(f"{path.name} holds no weights: it is {kind}")
        if len(start) < 8:
            raise CheckpointError(f"{path.name} is cut short: {size} bytes")
        (length,) = struct.unpack_from("<Q", start)
        if length > min(MAX_TABLE, size - 8):
            raise CheckpointError(f"{path.name} is not a safetensors file, or is cut short")
        file.seek(8)
        table = _parsed(path.name, file.read(length))
    end = 8 + length + _checked_end(path.name, table.tensors)
    if size != end:
        raise CheckpointError(f"{path.name} is cut short: {size} of {end} bytes")
    return table


def not_weights(start: bytes) -> str | None:
    """Returns what a file is that begins so, if it is a known kind of file without weights."""
    begin = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((kind for mark, kind in NOT_WEIGHTS if begin.startswith(mark)), None)


def _parsed(name: str, raw: bytes) -> Table:
    try:
        table = json.loads(raw, object_pairs_hook=_unrepeated)
        metadata = table.pop(METADATA, {})
        tensors = {tensor: _entry(fields) for tensor, fields in table.items()}
    except CheckpointError as error:
        raise CheckpointError(f"{name} can't be loaded: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{name} is not a safetensors file") from None
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError(f"{name} is not a safetensors file: its metadata must be texts")
    return Table(metadata, tensors)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of which no name stands twice: readers would disagree on which one counts."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands twice")
    return table


def _entry(fields: dict[str, Any]) -> TensorEntry:
    """Raises ValueError, KeyError or TypeError for what describes no tensor."""
    shape, (begin, end) = fields["shape"], fields["data_offsets"]
    sizes = [*shape, begin, end]
    if isinstance(fields["dtype"], str) and fields["dtype"] not in BITS:
        raise CheckpointError(f"the precision {fields['dtype'][:20]} is unknown")
    if any(type(size) is not int or not 0 <= size < 2**63 for size in sizes):
        raise ValueError("sizes and offsets must be whole numbers that are not negative")
    entry = TensorEntry(fields["dtype"], tuple(shape), begin, end)
    if 8 * (end - begin) != entry.elements * BITS[entry.dtype]:
        raise ValueError("its bytes are not as many as its shape takes")
    return entry


def _checked_end(name: str, tensors: Mapping[str, TensorEntry]) -> int:
    """Returns where the last tensor ends. Raises CheckpointError for a gap or an overlap."""
    end = 0
    for entry in sorted(tensors.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != end:
            raise CheckpointError(f"{name} is not a safetensors file: its tensors have gaps")
        end = entry.end
    return end
