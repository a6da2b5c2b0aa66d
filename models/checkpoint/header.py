"""The header of a checkpoint: read and checked without torch, so that the API can list models.

A checkpoint is one safetensors file. Its metadata holds one text, `atelier`: the JSON of `Header`.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from models.checkpoint.safetensors_table import CheckpointError as CheckpointError  # noqa: PLC0414
from models.checkpoint.safetensors_table import read_table

MAX_CARD = 2**20  # bytes of a header's text
MOST_NAMES = 10_000  # labels or attributes: each is part of the request's schema
SUFFIX = ".safetensors"
COMPONENTS = "parts"
"""The folder, beside the models, of checkpoints that only other checkpoints use."""

GUIDE = "lead"
"""The role, on disk, of a CLIP that guides a checkpoint and does not read its prompts."""


class Requirement(BaseModel):
    """Another checkpoint that this one uses: its id, and the hash that its tensors must have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    weights: str = Field(pattern=r"^[0-9a-f]{64}$", description="`weights_sha256` of its tensors.")


class Header(BaseModel):
    """Everything needed to list, build and serve a checkpoint: its card."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

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
    languages: list[str] = Field(
        default=[], description="What it writes, by ISO 639-1; empty if nobody said."
    )
    labels: list[str] = Field(
        default=[], max_length=MOST_NAMES, description="Kinds that can be asked for, by number."
    )
    attributes: list[str] = Field(
        default=[], max_length=MOST_NAMES, description="Latent directions, by name."
    )
    requires: dict[str, Requirement] = Field(
        default={},
        validation_alias="needs",  # its name on disk
        serialization_alias="needs",
        description="Checkpoints it works with, in the folder of parts, by their role.",
    )
    data: str = Field(default="", description="What it was trained on.")
    data_licence: str = ""
    licence: str = ""
    recipe: dict[str, JsonValue] = Field(default={}, description="How it was trained.")
    quality: dict[str, JsonValue] = Field(default={}, description="Measured figures, by name.")
    versions: dict[str, str] = {}

    @property
    def guide(self) -> str | None:
        """The role of the CLIP that can guide it: one attached for that, else its reader."""
        return next((role for role in (GUIDE, "clip") if role in self.requires), None)


def read_header(path: Path) -> Header:
    """The card of a checkpoint. Raises CheckpointError if the file is cut short or foreign."""
    text = read_table(path).metadata.get("atelier")
    if text is None:
        raise CheckpointError(f"{path.name} has no atelier header; use `atelier import`")
    if len(text) > MAX_CARD:
        raise CheckpointError(f"{path.name} has a header of over {MAX_CARD} characters")
    try:
        header = Header.model_validate_json(text)
        json.dumps(header.model_dump(), allow_nan=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path.name} has a broken header: {where}: {first['msg']}") from None
    except ValueError:
        reason = "it has numbers that are not finite"
        raise CheckpointError(f"{path.name} has a broken header: {reason}") from None
    return header


def component_path(path: Path, name: str) -> Path:
    """Returns where the component is that the checkpoint at `path` requires: in the folder of
    components, or beside the checkpoint if it is a model of its own."""
    beside = path.parent / f"{name}{SUFFIX}"
    component = path.parent / COMPONENTS / beside.name
    return beside if beside.exists() and not component.exists() else component


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex: what a job pins."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
