"""Sound that is read as it is made, over any number of connections, and written as it comes."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from atelier.client.errors import ConnectionFailed, Outcome, checked, pause_before_retry

CONTENT_TYPE = "audio/wav"
HEAD = 44  # bytes before the samples of a stream
LENGTHS = ((4, HEAD - 8), (40, 0))  # where a header has them, and by how much each is more


class Hearing:
    """Where a listener is in a stream that begins anew with each connection.

    It gives up when connections break in a row, without a byte between, more often than `most`.
    """

    def __init__(self, most: int) -> None:
        self.ended = False
        self.pause = 0.0  # seconds to rest before the next connection
        self.heard = 0  # bytes
        self._most = most
        self._breaks = 0
        self._place = 0  # in this connection

    def opened(self, answer: httpx.Response) -> None:
        """Raises ConnectionFailed for an answer that is no sound."""
        self._place = 0
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind != CONTENT_TYPE:
            raise ConnectionFailed(f"{answer.url}: what answers there is not Atelier")

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What of a piece was not heard before."""
        known = max(0, self.heard - self._place)
        self._place += len(piece)
        if new := piece[known:]:
            self._breaks = 0
            self.heard += len(new)
            yield new

    def closed(self, outcome: Outcome) -> None:
        """After a connection. Raises APIError or ConnectionFailed where another is no use."""
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            self.ended = True
            return
        pause = pause_before_retry(outcome, self._breaks, self._most)
        if pause is None:
            checked(outcome)
            return
        self._breaks += 1
        self.pause = pause


class SoundFile:
    """A WAV file that grows while it is heard, and in the end says how long it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._file.flush()  # a player that reads on gets it now

    def close(self) -> None:
        """Nothing to say where nothing came."""
        if (size := self._file.tell()) >= HEAD:
            for place, more in LENGTHS:
                self._file.seek(place)
                self._file.write((size - HEAD + more).to_bytes(4, "little"))
            os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
