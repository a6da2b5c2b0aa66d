"""Which jobs a listing returns, and the search through their records.

A search reads records in the order of the listing, a chunk at a time. One request examines at most
`MOST_EXAMINED` records or `MOST_BYTES` of them, so a page may be short although more follow.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app.core.schemas import Status

MOST_EXAMINED = 1000  # records that one request looks into
MOST_BYTES = 4 * 2**20  # of these records together, about
CHUNK = 250  # records that one script reads
CHUNK_BYTES = 2**18  # that it answers with
LATEST = 2**53 - 1  # seconds: the largest whole number that JSON surely carries
MOST_TERMS = 16  # words of a search
MOST_LETTERS = 200  # of a search


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list: newest first or oldest first, after one that was seen.

    `created_after` is inclusive and `created_before` exclusive, both in seconds since the epoch.
    """

    status: Status | None = None
    type: str | None = None
    model: str | None = None
    terms: tuple[str, ...] = ()
    """Words, case-folded, that must all occur in the texts of a job."""
    created_after: int | None = None
    created_before: int | None = None
    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"

    @property
    def is_search(self) -> bool:
        """Whether the records must be read to know which jobs are meant."""
        return self.model is not None or bool(self.terms)

    def matches(self, row: list[Any]) -> bool:
        """Whether a record is one of these: its model, input and outputs, the last two as JSON."""
        if self.model is not None and row[0] != self.model:
            return False
        if not self.terms:
            return bool(row[0])
        try:
            text = "\n".join(_texts_of(*row[1:])).casefold()
        except (ValueError, TypeError, AttributeError):
            return False  # a record that can't be read
        return all(term in text for term in self.terms)


def split_terms(query: str) -> tuple[str, ...]:
    """The words of a search, each once. Raises ValueError for none or too many."""
    terms = tuple(dict.fromkeys(query.casefold().split()))
    if not 1 <= len(terms) <= MOST_TERMS:
        raise ValueError(f"it must have 1 to {MOST_TERMS} words")
    return terms


def _texts_of(job_input: str, outputs: str | Literal[False] | None) -> Iterator[str]:
    yield from _strings_in(json.loads(job_input))
    for output in json.loads(outputs or "[]"):
        yield from (text for name in ("title", "text") if (text := output.get(name)))


def _strings_in(value: Any) -> Iterator[str]:
    """Every string among the values of a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings_in(inner)
