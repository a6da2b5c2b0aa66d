"""Messages whose files are still on their way into the store, and those that came after them.

Messages of one execution stay in order; executions wait for one another in nothing.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workers.delivery.store_writer import File
from workers.encoders.types import Encoded
from workers.jobs.messages import Message


@dataclass(frozen=True, slots=True)
class BacklogItem:
    """A message and its files, if it has any."""

    message: Message
    files: Sequence[tuple[Encoded, File]]

    @property
    def done(self) -> bool:
        return all(file.done for _, file in self.files)


class Backlog:
    """What waits, by execution. Changed by one thread; others may ask for its length."""

    def __init__(self) -> None:
        self._entries: dict[str, deque[BacklogItem]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def holds(self, execution: str) -> bool:
        return execution in self._entries

    def add(self, entry: BacklogItem) -> None:
        self._entries.setdefault(entry.message.claim.execution, deque()).append(entry)
        self._length += 1

    def drop(self, execution: str) -> bool:
        """Forget what waits of an execution. Returns whether anything did."""
        entries = self._entries.pop(execution, deque())
        self._length -= len(entries)
        for entry in entries:
            for _, file in entry.files:
                file.unwanted = True
        return len(entries) > 0

    def take_done(self) -> Iterator[BacklogItem]:
        """Remove and return entries for whose files nothing waits any more."""
        for execution, entries in list(self._entries.items()):
            while entries and entries[0].done:
                self._length -= 1
                yield entries.popleft()
            if not entries:
                del self._entries[execution]
