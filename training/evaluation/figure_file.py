"""Figures of a checkpoint in a small JSON file, where its card is not written.

A card is a part of a large file: writing it anew adds the whole file to a repository's history. And
a checkpoint that a package carries is in no repository at all.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint, weights_sha256
from training.errors import TrainingError
from training.evaluation.evaluator import Record

EVALUATED = "evaluated"
"""The entry of a card's `quality` that holds one record for every evaluation."""


class FiguresUnreadable(TrainingError):
    """A file is no figure file, or one of other weights; the message says which."""


class FigureFile(BaseModel):
    """What was measured of one checkpoint, known by the hash of its tensors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str = Field(min_length=1, description="Its id.")
    weights: str = Field(pattern=r"^[0-9a-f]{64}$", description="`weights_sha256` of its tensors.")
    family: str = Field(min_length=1)
    title: str = ""
    description: str = ""
    limitations: str = ""
    evaluated: list[dict[str, JsonValue]] = []

    @classmethod
    def read(cls, path: Path) -> "FigureFile":
        """Raises FiguresUnreadable for what is no figure file."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise FiguresUnreadable(
                f"{path.name} is no file of figures: {where}: {first['msg']}"
            ) from None

    @classmethod
    def for_checkpoint(cls, name: str, checkpoint: Checkpoint, path: Path) -> "FigureFile":
        """Returns the file at `path`, or a new one for this checkpoint.

        The records of earlier weights are left out. Raises FiguresUnreadable for a file of another
        checkpoint.
        """
        header, weights = checkpoint.header, weights_sha256(checkpoint.tensors)
        known: list[dict[str, JsonValue]] = []
        if path.exists():
            old = cls.read(path)
            if old.checkpoint != name:
                raise FiguresUnreadable(f"{path.name} has the figures of {old.checkpoint}")
            known = old.evaluated if old.weights == weights else []
        about: dict[str, Any] = {
            key: getattr(header, key) for key in ("family", "title", "description", "limitations")
        }
        return cls(checkpoint=name, weights=weights, evaluated=known, **about)

    def with_record(self, record: Record) -> "FigureFile":
        return self.model_copy(update={"evaluated": replaced(self.evaluated, record)})

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(path)

    def card(self) -> Header:
        """Returns a card for the page of figures, of a checkpoint that is not there."""
        return self.added_to(
            Header(
                family=self.family,
                net={},
                title=self.title,
                description=self.description,
                limitations=self.limitations,
            )
        )

    def added_to(self, card: Header) -> Header:
        """Returns the card with these records too; they replace those of the same params."""
        records: list[JsonValue] = [*records_of(card)]
        for record in self.evaluated:
            records = replaced(records, record)
        return card.model_copy(update={"quality": card.quality | {EVALUATED: records}})


def figure_files(folder: Path) -> list[FigureFile]:
    """Returns the files `*.json` of a folder, in the order of their names."""
    return [FigureFile.read(path) for path in sorted(folder.glob("*.json"))]


def records_of(header: Header) -> list[Record]:
    known = header.quality.get(EVALUATED)
    return [one for one in known if isinstance(one, dict)] if isinstance(known, list) else []


def replaced(records: Sequence[JsonValue], record: Record) -> list[JsonValue]:
    """Returns the records with the new one in place of that of the same params and reference."""
    others = [
        old
        for old in records
        if isinstance(old, dict)
        and any(old.get(key) != record[key] for key in ("params", "reference"))
    ]
    return [*others, record]
