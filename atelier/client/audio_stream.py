"""Audio that is read while it is made, over any number of connections, and written as it comes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx

from atelier.client.errors import Outcome
from atelier.client.flows import StreamReader

HEADER_SIZE = 44  # bytes before the samples of a stream
SIZE_FIELDS = ((4, HEADER_SIZE - 8), (40, 0))  # offsets, and what each adds to the samples' size


class AudioReader(StreamReader[bytes]):
    """The position in a stream that starts anew with each connection."""

    content_type = "audio/wav"

    def __init__(self, max_retries: int) -> None:
        super().__init__(max_retries)
        self._received = 0  # bytes, over all connections
        self._position = 0  # bytes, in this connection

    def opened(self, response: httpx.Response) -> None:
        self._position = 0
        super().opened(response)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        repeated = max(0, self._received - self._position)
        self._position += len(chunk)
        if new := chunk[repeated:]:
            self._failures = 0
            self._received += len(new)
            yield new

    def closed(self, outcome: Outcome) -> None:
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            self.ended = True
        else:
            super().closed(outcome)


class WavFile:
    """A WAV file that grows while it is written, and says at its end how long it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._file.flush()  # a player that follows the file gets it now

    def close(self) -> None:
        """Writes the sizes into the header, if there is one."""
        if (size := self._file.tell()) >= HEADER_SIZE:
            for offset, added in SIZE_FIELDS:
                self._file.seek(offset)
                self._file.write((size - HEADER_SIZE + added).to_bytes(4, "little"))
            os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
