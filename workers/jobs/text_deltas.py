"""Text as it is written, in pieces with their places: what was told is not told again, whichever
execution of a job writes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.job_record import draft_of


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an item's text, and how many letters there are before it."""

    index: int
    offset: int
    text: str


@dataclass(slots=True)
class DeltaTracker:
    """How much of an item's text has been written here, and told, here or by an earlier execution.

    That one has sent the beginning of the same text, unless bits differ between workers: then
    nothing more is sent but the whole, and readers find out by that.
    """

    index: int
    before: str = ""  # what an earlier execution sent
    sent: int = 0
    written: int = 0
    differs: bool = False

    @classmethod
    def after(cls, index: int, record: Mapping[str, str]) -> "DeltaTracker":
        """Of a job's record, which keeps what readers were sent."""
        before = draft_of(index, record)
        return cls(index, before, sent=len(before))

    def add(self, piece: str) -> tuple[Delta, ...]:
        """What is new of the next piece; nothing if it was sent before."""
        offset, self.written = self.written, self.written + len(piece)
        again = self.before[offset : self.written]
        self.differs |= not piece.startswith(again)
        if self.differs or self.written <= self.sent:
            return ()
        new = piece[max(0, self.sent - offset) :]
        self.sent = self.written
        return (Delta(self.index, self.written - len(new), new),)

    def finish(self, whole: str) -> tuple[Delta, ...]:
        """What has not been said of a text that is complete."""
        return self.add(whole[self.written :])
