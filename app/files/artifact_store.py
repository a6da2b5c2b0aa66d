"""The artifact store, as routes use it: every call runs in a thread of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import BinaryIO, ParamSpec, TypeVar

import redis

from app.core.errors import Unavailable
from app.core.schemas import StoredArtifact
from app.core.settings import Settings
from app.core.store import NO_ANSWER, Unreachable
from app.core.stores.store_factory import open_store
from app.core.thread_pool import ThreadPool
from app.files.uploads import Uploads, UploadSpace

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 32  # calls to the store at once
FILE_CHECKS = {"image": 2, "audio/midi": 1, "thumbnail": 2}
"""Files that are looked into at once, by their kind: posted ones of a request, and those of which a
thumbnail is drawn. A check takes a thread, up to half a second of the processor and up to 50 MB; a
drawing may take 10 seconds and a process of its own. One kind never waits for another."""


def _is_late() -> Exception:
    return Unreachable(NO_ANSWER)


class ArtifactStore:
    """Reads and keeps files by their SHA-256. Raises StoreError where the store hangs or fails."""

    def __init__(self, connection: "redis.Redis", settings: Settings) -> None:
        self.backend = open_store(settings)
        self.upload_space = UploadSpace(settings.max_uploads, settings.max_upload)
        self._uploads = Uploads(connection, self.backend, settings)
        self._timeout = settings.store_timeout
        self._threads = ThreadPool("store", THREADS, settings.store_timeout, _is_late)
        self.checks = {kind: asyncio.Semaphore(most) for kind, most in FILE_CHECKS.items()}

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what a function returns that calls `backend`."""
        return await self._threads.run(function, *args, **kwargs)

    def iterate(self, items: Iterator[T]) -> AsyncGenerator[T]:
        """Yields items that call `backend`, each made by a call of its own."""
        return self._threads.iterate(items)

    async def get(self, sha256: str) -> bytes:
        return await self.run(self.backend.get, sha256)

    async def read(self, sha256: str, start: int, length: int) -> bytes:
        return await self.run(self.backend.read, sha256, start, length)

    async def keep(self, owner: str, file: BinaryIO) -> StoredArtifact:
        """As `Uploads.keep`."""
        return await self.run(self._uploads.keep, owner, file)

    async def keep_input(self, data: bytes) -> str:
        """As `Uploads.keep_input`."""
        return await self.run(self._uploads.keep_input, data)

    @asynccontextmanager
    async def check_slot(self, kind: str) -> AsyncIterator[None]:
        """Waits until one more file of this kind may be checked. Raises Unavailable where
        all checks take long, as they do while the store hangs."""
        checks = self.checks[kind]
        try:
            async with asyncio.timeout(self._timeout):
                await checks.acquire()
        except TimeoutError:
            message = "too many files are being checked; try again"
            raise Unavailable(message, code="store_unavailable", retry_after=5) from None
        try:
            yield
        finally:
            checks.release()

    def close(self) -> None:
        self._threads.close()
