"""Text by a job's events: each piece once and in order, whatever comes twice or is left out.

A piece tells where it stands, and a whole job has all that was written so far; so a reader of the
log that has lost some of it goes on from the next snapshot.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Pieces:
    """How many letters of each item's text were given."""

    given: dict[int, int] = field(default_factory=dict)

    def take(self, name: str, data: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
        """What an event brings that is new: items and their text."""
        if name == "delta":
            yield from self._more(data["index"], data["offset"], data["text"])
        elif name == "output":
            yield from self._whole(data)
        elif data.get("object") == "job":
            for found in (*data.get("drafts", ()), *data["outputs"]):
                yield from self._whole(found)

    def _whole(self, found: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
        if found.get("text") is not None:
            yield from self._more(found["index"], 0, found["text"])

    def _more(self, index: int, offset: int, text: str) -> Iterator[tuple[int, str]]:
        given = self.given.get(index, 0)
        new = text[given - offset :] if offset <= given else ""
        if new:
            self.given[index] = given + len(new)
            yield index, new
