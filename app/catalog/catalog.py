"""The folder of checkpoints is the registry: each file's card, and the request its model takes.

A file dropped in is served and one taken away is not, without a restart. A file that can't be
used is logged once, with its reason, and asking for it tells the reason.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from app.catalog.request_models import request_class
from app.catalog.samples import SampleFile, find_samples
from app.core.errors import NotFound
from app.core.imports import IMPORTING, Imports, ImportStatus
from app.core.schemas import ModelCard, ModelSample
from app.queue.worker_leases import Lease, memory_of, model_state
from models.checkpoint.header import SUFFIX, CheckpointError, Header
from models.families import FAMILIES, FamilyEntry, OutputFacts
from models.modalities import MODALITIES
from models.params.base import Params
from models.registry import CheckpointEntry as Shelved
from models.registry import CheckpointRegistry, Found

log = logging.getLogger(__name__)

ON_CARD = {"family", "description", "limitations", "labels", "licence", "data", "data_licence"}
ON_CARD |= {"attributes", "process", "recipe", "quality"}
LOOK = 1.0  # least seconds between two looks at the folder


@dataclass(frozen=True)
class CatalogEntry:
    """A model that can be asked for."""

    file: Shelved
    family: FamilyEntry
    request: type[Params]
    default: bool = False  # whether its route uses it where a request names none

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def sha256(self) -> str:
        return self.file.sha256

    @property
    def header(self) -> Header:
        return self.file.header

    @property
    def facts(self) -> OutputFacts:
        return self.family.facts(self.header)

    @property
    def importing(self) -> bool:
        """Whether its checkpoint is still on its way; jobs for it wait."""
        return self.sha256 == IMPORTING

    @cached_property
    def schema(self) -> dict[str, Any]:
        return self.request.model_json_schema()

    def card(
        self,
        leases: list[Lease],
        progress: float | None = None,
        sample: ModelSample | None = None,
    ) -> ModelCard:
        """What clients see of it; `progress` is that of its import."""
        state, determinism = model_state(leases, self.sha256)
        return ModelCard(
            id=self.id,
            modality=self.family.modality,
            default=self.default,
            title=self.header.title or self.id,
            state="importing" if self.importing else state,
            progress=progress if self.importing else None,
            determinism=determinism,
            params=self.schema,
            samplers=self.schema["properties"].get("sampler", {}).get("enum", []),
            sha256=None if self.importing else self.sha256,
            bytes=self.file.bytes,
            memory_bytes=memory_of(leases, self.sha256),
            sample=sample,
            **self.header.model_dump(include=ON_CARD),
        )


def expected_entry(
    model: str, status: ImportStatus, before: Shelved | CheckpointError | None
) -> Shelved | CheckpointError:
    """A checkpoint that is being imported: its card is known, and not yet its bytes. What it was
    `before`, if that still holds."""
    if status.error:
        reason = f"its import failed: {status.error}"
        same = isinstance(before, CheckpointError) and str(before) == reason
        return before if same and before else CheckpointError(reason)
    if isinstance(before, Shelved):
        return before
    path = Path(f"{model}{SUFFIX}")
    return Shelved(model, path, status.header, IMPORTING, 0, 0, frozenset(), int(time.time()))


class Catalog:
    """The models of some folders. `refresh` before use; looking up is then only a dictionary."""

    def __init__(
        self,
        *folders: Path,
        max_items: int,
        imports: Imports | None = None,
        aliases: Mapping[str, str] = MappingProxyType({}),
        defaults: Collection[str] = (),
    ) -> None:
        self._shelf = CheckpointRegistry(*folders)
        self._folders = folders
        self.samples: Mapping[str, SampleFile] = {}
        self._imports = imports
        self._expected: Found = {}  # what is being imported, as if it were there
        self.progress: dict[str, float] = {}  # of imports
        self._max_items = max_items
        self._aliases = aliases
        self._defaults = {aliases.get(model, model) for model in defaults}
        self._present: Found = {}
        self._examined: dict[str, CatalogEntry | str] = {}
        self._looking = asyncio.Lock()
        self._due = 0.0
        self.entries: dict[str, CatalogEntry] = {}
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
        self.samples = find_samples(*self._folders)
        expected, present = self._expect(), self._shelf.look()  # what has arrived is there by now
        if present is self._present and expected == self._expected:
            return
        known, seen = self._examined, {**self._expected, **self._present}
        self._examined = {
            i: known[i] if seen.get(i) is x else self._examine(x)
            for i, x in {**expected, **present}.items()
        }
        self._present, self._expected = present, expected
        results = self._examined.items()
        self.entries = {i: x for i, x in results if isinstance(x, CatalogEntry)}
        self.broken = {i: x for i, x in results if isinstance(x, str)}

    def _expect(self) -> Found:
        """What imports will bring, by id; equal to what it was before while only progress grows."""
        imports = self._imports.read() if self._imports else {}
        self.progress = {i: status.progress for i, status in imports.items()}
        before = self._expected
        return {
            i: expected_entry(i, status, before.get(i))
            for i, status in imports.items()
            if status.error or status.progress < 1  # else it is there, or was taken away again
        }

    def _examine(self, shelved: Shelved | CheckpointError) -> CatalogEntry | str:
        """What can be asked of a file, or why nothing can."""
        if isinstance(shelved, CheckpointError):
            return str(shelved)
        family = FAMILIES[shelved.header.family]
        if family.modality not in MODALITIES:
            return f"there is no route for {family.modality} yet"
        try:
            names = tuple(alias for alias, model in self._aliases.items() if model == shelved.id)
            request = request_class(shelved.id, shelved.header, family, self._max_items, names)
            default = shelved.id in self._defaults
            entry = CatalogEntry(shelved, family, request, default)
            entry.card([]).model_dump_json()  # what a listing would otherwise fail at for all
        except CheckpointError as error:
            log.warning("%s is not served: %s", shelved.path.name, error)
            return str(error)
        except Exception:
            log.exception("%s is not served", shelved.path.name)
            return "its header is not what its family needs"
        return entry

    def find(self, model: str, modality: str | None = None) -> CatalogEntry:
        """The model of this id or alias. Raises NotFound, with the reason or the known ids."""
        id_ = self.id_of(model)
        entry = self.entries.get(id_)
        if entry and modality in (None, entry.family.modality):
            return entry
        if reason := self.broken.get(id_):
            message = f"the file of the model {id_} can't be used: {reason}"
        elif entry:
            message = f"{model} makes {entry.family.modality}, not {modality}"
        else:
            known = ", ".join(i for i, _ in self.of(modality)) or "none"
            message = f"there is no model {id_[:100]!r}; known models: {known}"
            message = f"{model} is an alias: {message}" if id_ != model else message
        raise NotFound(message, code="model_not_found", param="model")

    def card(self, entry: CatalogEntry, leases: list[Lease]) -> ModelCard:
        """What clients see of a model."""
        sample = self.samples.get(entry.id)
        return entry.card(leases, self.progress.get(entry.id), sample.on_card() if sample else None)

    def sample_of(self, model: str) -> SampleFile:
        """The sample of a model. Raises NotFound where there is none, or no such model."""
        id_ = self.find(model).id
        sample = self.samples.get(id_)
        if sample is None:
            raise NotFound(f"there is no sample of {id_}", code="sample_not_found", param="model")
        return sample

    def id_of(self, model: str) -> str:
        """The id that an alias stands for; any other name is returned as it is."""
        return model if model in self.entries else self._aliases.get(model, model)

    def aliases_of(self, modality: str | None = None) -> list[tuple[str, CatalogEntry]]:
        """The models of a modality, or all, by those of their aliases that no model has as id."""
        known = [(alias, self.entries.get(self.id_of(alias))) for alias in sorted(self._aliases)]
        return [
            (alias, entry)
            for alias, entry in known
            if entry and entry.id != alias and modality in (None, entry.family.modality)
        ]

    def problem_of_aliases(self) -> str | None:
        """What is wrong with the aliases, beside the models that are here now, if anything is."""
        known = {**self.entries, **self.broken}
        for alias, model in self._aliases.items():
            if alias in known:
                return f"{alias} is a model here, and no alias may have its name"
            if model not in known:
                models = ", ".join(sorted(known)) or "none"
                return f"{alias} stands for {model[:100]!r}, which is no model; known: {models}"
        return None

    def of(self, modality: str | None = None) -> list[tuple[str, CatalogEntry]]:
        """The models of a modality, or all, by id."""
        every = sorted(self.entries.items())
        return [(i, x) for i, x in every if modality in (None, x.family.modality)]
