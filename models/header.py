"""The header of a checkpoint: read and checked without torch, so that the API can list models.

A checkpoint is one safetensors file: eight bytes of length, a JSON table of tensors, then their
bytes. The table's `__metadata__` holds one string, `atelier`: the JSON of `Header`.
"""

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

MAX_TABLE = 16 * 2**20  # bytes; a table larger than this is not one of ours
SUFFIX = ".safetensors"
PARTS = "parts"
"""The folder, among the checkpoints, of those that work for others and can't be asked for."""

LEAD = "lead"
"""The role of a CLIP that leads a checkpoint and does not read for it."""


class CheckpointError(ValueError):
    """A checkpoint file can't be used; the message says why, without its folder."""


class Need(BaseModel):
    """Another checkpoint that this one works with: by its name, and what its tensors must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    weights: str = Field(pattern=r"^[0-9a-f]{64}$", description="`weights_sha256` of its tensors.")


class Header(BaseModel):
    """Everything needed to list, build and serve a checkpoint: its card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    family: str = Field(min_length=1, max_length=64)
    net: dict[str, JsonValue] = Field(description="Configuration the nets are built with.")
    process: dict[str, JsonValue] = Field(
        default={}, description="What its family does with the nets: likelihood, schedule."
    )
    title: str = ""
    description: str = ""
    limitations: str = Field(default="", description="What it can't do.")
    defaults: dict[str, JsonValue] = Field(default={}, description="Defaults of params, if other.")
    limits: dict[str, tuple[float, float]] = Field(default={}, description="Tighter bounds.")
    labels: list[str] = Field(default=[], description="Kinds that can be asked for, by number.")
    attributes: list[str] = Field(default=[], description="Latent directions, by name.")
    needs: dict[str, Need] = Field(
        default={}, description="Checkpoints it works with, in the folder of parts, by their role."
    )
    data: str = Field(default="", description="What it was trained on.")
    data_licence: str = ""
    licence: str = ""
    recipe: dict[str, JsonValue] = Field(default={}, description="How it was trained.")
    quality: dict[str, JsonValue] = Field(default={}, description="Measured figures, by name.")
    versions: dict[str, str] = {}

    @property
    def leader(self) -> str | None:
        """The role of the CLIP that can lead it: one given to it for that, else its reader."""
        return next((role for role in (LEAD, "clip") if role in self.needs), None)


def read_header(path: Path) -> Header:
    """The card of a checkpoint. Raises CheckpointError if the file is cut short or foreign."""
    table = read_table(path)
    text = table.get("__metadata__", {}).get("atelier")
    if text is None:
        raise CheckpointError(f"{path.name} has no atelier header; use `atelier import`")
    try:
        return Header.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path.name} has a broken header: {where}: {first['msg']}") from None


def part_path(path: Path, name: str) -> Path:
    """Where the part lies that the checkpoint at `path` needs: among the parts, or beside it, if it
    is one that can be asked for itself."""
    beside = path.parent / f"{name}{SUFFIX}"
    part = path.parent / PARTS / beside.name
    return beside if beside.exists() and not part.exists() else part


def read_table(path: Path) -> dict[str, Any]:
    """The JSON table of a safetensors file, checked against the file's length."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        if len(start) < 8:
            raise CheckpointError(f"{path.name} is cut short: {size} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_TABLE, size - 8):
            raise CheckpointError(f"{path.name} is not a safetensors file, or is cut short")
        table = _parse_table(path.name, file.read(length))
    end = max((t["data_offsets"][1] for k, t in table.items() if k != "__metadata__"), default=0)
    if size != 8 + length + end:
        raise CheckpointError(f"{path.name} is cut short: {size} of {8 + length + end} bytes")
    return table


def _parse_table(name: str, raw: bytes) -> dict[str, Any]:
    try:
        table = json.loads(raw)
        for key, entry in table.items():
            if key == "__metadata__":
                entry["atelier"] = entry.get("atelier")
            else:
                _, end = entry["data_offsets"]
                end.__index__()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{name} is not a safetensors file") from None
    return table  # type: ignore[no-any-return]


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex: what a job pins."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
