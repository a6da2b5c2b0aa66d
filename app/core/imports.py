"""Models on their way into the state folder: what each will be, and how far its import is.

The process that imports a model writes `imports/<id>.json`; the API and the workers read it. Until
the checkpoint is there, nobody knows its hash. So a job for it pins `IMPORTING` instead, and waits
in a queue of that name, which whoever has the checkpoint then reads too. The file stays, so that
jobs accepted before the end of the import find their way after any restart.
"""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.checkpoint.header import Header

log = logging.getLogger(__name__)

IMPORTING = "importing"  # stands for the SHA-256 of a checkpoint that is not there yet
READ_EVERY = 1.0  # seconds between two looks at the folder


class ImportStatus(BaseModel):
    """One model's import."""

    model_config = ConfigDict(frozen=True)

    header: Header = Field(description="The card that it will have, as far as is known before.")
    progress: float = Field(default=0.0, ge=0, le=1)
    error: str = Field(default="", description="Why it failed, if it did.")


class Imports:
    """The imports that a state folder tells of, read again once a second at most."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "imports"
        self._due = 0.0
        self._known: dict[str, ImportStatus] = {}

    def read(self) -> Mapping[str, ImportStatus]:
        """By model id; the same object as before if nothing has changed."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + READ_EVERY
            files = self._folder.glob("*.json")
            known = {file.stem: x for file in sorted(files) if (x := _parsed(file)) is not None}
            if known != self._known:
                self._known = known
        return self._known

    def write(self, model: str, status: ImportStatus) -> None:
        """Tell how an import stands; a reader sees the whole of it or what was there before."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{model}.{os.getpid()}"
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "w") as file:
            file.write(status.model_dump_json())
        draft.replace(self._folder / f"{model}.json")
        self._due = 0.0


def _parsed(file: Path) -> ImportStatus | None:
    try:
        return ImportStatus.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        log.warning("%s can't be read: %s", file.name, str(error).splitlines()[0])
        return None
