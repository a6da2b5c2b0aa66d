"""Sound as it is made, in chunks of one length: the same chunks whichever run makes them, so that
who listens goes on where they were after a job has begun anew."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from models.artifacts import Audio

CHUNK_SECONDS = 0.5
CHECK_SECONDS = 0.25  # between two checks for new sound of an item, at least


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next samples of a sound; all chunks but its last are of one length."""

    number: int
    audio: Audio
    last: bool


@dataclass(slots=True)
class AudioChunker:
    """How much of an item's sound has been heard, in chunks."""

    chunks: int = 0
    checked_at: float = -math.inf

    def is_due(self, now: float) -> bool:
        """Whether it is time to check for new sound; if so, the time is noted."""
        if now - self.checked_at < CHECK_SECONDS:
            return False
        self.checked_at = now
        return True

    def add(self, so_far: Audio) -> Iterator[Chunk]:
        """The whole chunks that are new."""
        size = _size(so_far)
        while (self.chunks + 1) * size <= so_far.samples.shape[1]:
            yield self._next(so_far, last=False)

    def finish(self, whole: Audio) -> Iterator[Chunk]:
        """All that is new, and the last in any case, since nobody knew that it was."""
        total = math.ceil(whole.samples.shape[1] / _size(whole))
        self.chunks = min(self.chunks, total - 1)
        while self.chunks < total:
            yield self._next(whole, last=self.chunks == total - 1)

    def _next(self, audio: Audio, last: bool) -> Chunk:
        number, size = self.chunks, _size(audio)
        self.chunks += 1
        samples = audio.samples[:, number * size : (number + 1) * size]
        return Chunk(number, Audio(samples.clone(), audio.rate), last)  # a view would keep it all


def _size(audio: Audio) -> int:
    """Samples of a chunk."""
    return math.ceil(audio.rate * CHUNK_SECONDS)
