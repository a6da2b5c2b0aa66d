"""The folder of checkpoints is the registry: each file's card, and the request its model takes.

A file dropped in is served and one taken away is not, without a restart. A file that can't be
used is logged once, with its reason, and asking for it tells the reason.
"""

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from app.errors import NotFound
from app.leases import Lease, held_state
from app.requests import FORMATS, request_class
from app.schemas import ModelCard
from models.families import FAMILIES, FamilyEntry, Modality
from models.header import SUFFIX, CheckpointError, Header, file_sha256, read_header
from models.params import Params

log = logging.getLogger(__name__)

MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
FOREIGN = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".gguf"}  # weights that want `atelier import`
ON_CARD = {"family", "description", "limitations", "labels", "licence", "data", "data_licence"}
ON_CARD |= {"recipe", "quality"}
LOOK = 1.0  # least seconds between two looks at the folder


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file has changed."""

    modified: int
    size: int


@dataclass(frozen=True)
class Entry:
    """A model that can be asked for."""

    id: str
    sha256: str
    stamp: Stamp
    header: Header
    family: FamilyEntry
    request: type[Params]

    @cached_property
    def schema(self) -> dict[str, Any]:
        return self.request.model_json_schema()

    @property
    def created(self) -> int:
        return self.stamp.modified // 10**9

    def card(self, leases: list[Lease]) -> ModelCard:
        state, determinism = held_state(leases, self.sha256)
        return ModelCard(
            id=self.id,
            modality=self.family.modality,
            title=self.header.title or self.id,
            state=state,
            determinism=determinism,
            params=self.schema,
            sha256=self.sha256,
            bytes=self.stamp.size,
            **self.header.model_dump(include=ON_CARD),
        )


class Catalog:
    """The models of a folder. `refresh` before use; looking up is then only a dictionary."""

    def __init__(self, folder: Path, max_items: int) -> None:
        self._folder = folder
        self._max_items = max_items
        self._examined: dict[Path, tuple[Stamp, Entry | str]] = {}
        self._looking = asyncio.Lock()
        self._due = 0.0
        self.entries: dict[str, Entry] = {}
        self.broken: dict[str, str] = {}

    async def refresh(self) -> None:
        """Look at the folder, unless that was just done, or someone is at it."""
        if time.monotonic() < self._due or self._looking.locked():
            return
        async with self._looking:
            await asyncio.to_thread(self.scan)
            self._due = time.monotonic() + LOOK

    def scan(self) -> None:
        """Examine what has changed in the folder. Blocks: new files are hashed."""
        listing = dict(self._listing())
        if listing == {path: stamp for path, (stamp, _) in self._examined.items()}:
            return
        seen = self._examined
        self._examined = {
            path: seen[path] if path in seen and seen[path][0] == stamp else self._look(path, stamp)
            for path, stamp in sorted(listing.items())
        }
        found = {path.stem: result for path, (_, result) in self._examined.items()}
        self.entries = {i: x for i, x in found.items() if isinstance(x, Entry)}
        self.broken = {i: x for i, x in found.items() if isinstance(x, str)}

    def find(self, model: str, modality: Modality | None = None) -> Entry:
        """The model of this id. Raises NotFound, with the reason or the known ids."""
        entry = self.entries.get(model)
        if entry and modality in (None, entry.family.modality):
            return entry
        if reason := self.broken.get(model):
            message = f"the file of the model {model} can't be used: {reason}"
        elif entry:
            message = f"{model} makes {entry.family.modality}, not {modality}"
        else:
            known = ", ".join(i for i, _ in self.of(modality)) or "none"
            message = f"there is no model {model[:100]!r}; known models: {known}"
        raise NotFound(message, code="model_not_found", param="model")

    def of(self, modality: Modality | None = None) -> list[tuple[str, Entry]]:
        """The models of a modality, or all, by id."""
        every = sorted(self.entries.items())
        return [(i, x) for i, x in every if modality in (None, x.family.modality)]

    def _listing(self) -> "list[tuple[Path, Stamp]]":
        if not self._folder.is_dir():
            return []
        files = []
        for path in self._folder.iterdir():
            if path.suffix in {SUFFIX, *FOREIGN} and not path.name.startswith("."):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # gone since it was listed
                files.append((path, Stamp(stat.st_mtime_ns, stat.st_size)))
        return files

    def _look(self, path: Path, stamp: Stamp) -> tuple[Stamp, Entry | str]:
        try:
            return stamp, self._entry(path, stamp)
        except (CheckpointError, OSError) as error:
            told = isinstance(error, CheckpointError)
            reason = str(error) if told else "it can't be read"
            log.warning("%s is not served: %s", path.name, error)
            return stamp, reason

    def _entry(self, path: Path, stamp: Stamp) -> Entry:
        if path.suffix != SUFFIX:
            raise CheckpointError(f"{path.name} is not a safetensors file; use `atelier import`")
        if not MODEL_ID.fullmatch(path.stem):
            raise CheckpointError("its name must be of a-z, 0-9, dots, dashes and underscores")
        header = read_header(path)
        family = FAMILIES.get(header.family)
        if family is None or family.modality not in FORMATS:
            raise CheckpointError(f"its family is unknown: {header.family}")
        request = request_class(path.stem, header, family, self._max_items)
        return Entry(path.stem, file_sha256(path), stamp, header, family, request)
