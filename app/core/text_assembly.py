"""Text by a job's events: each piece once and in order, whatever comes twice or is left out.

A piece tells where it stands, and a whole job has all that was written so far; so a reader of the
log that has lost some of it goes on from the next snapshot. A text that was begun anew with other
words, by a worker that has other bits than the one which was lost, is found out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


class TextChanged(Exception):
    """What was given of an item is not the beginning of its text any more."""


@dataclass
class ItemTexts:
    """What was given of each item's text."""

    sent: dict[int, str] = field(default_factory=dict)
    only: int | None = None  # the one item that is followed, if not all are

    def take(self, name: str, data: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
        """What an event brings that is new: items and their text. Raises TextChanged."""
        if name == "delta":
            yield from self._more(data["index"], data["offset"], data["text"])
        elif name == "output":
            yield from self._whole(data)
        elif data.get("object") == "job":
            for draft in (*data.get("drafts", ()), *data["outputs"]):
                yield from self._whole(draft)

    def _whole(self, item: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
        index, text = item["index"], item.get("text")
        if text is not None and self._follows(index):
            draft, sent = "role" not in item, self.sent.get(index, "")
            if not (text.startswith(sent) or (draft and sent.startswith(text))):
                raise TextChanged
            yield from self._more(index, 0, text)

    def _more(self, index: int, offset: int, text: str) -> Iterator[tuple[int, str]]:
        sent = self.sent.get(index, "")
        new = text[len(sent) - offset :] if offset <= len(sent) else ""
        if new and self._follows(index):
            self.sent[index] = sent + new
            yield index, new

    def _follows(self, index: int) -> bool:
        return self.only in (None, index)
