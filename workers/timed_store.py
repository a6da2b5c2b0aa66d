"""The artifact store for one thread of a worker, which no call holds up for long."""

from app.core.store import NO_ANSWER, Store, Unreachable
from app.core.thread_pool import ThreadPool

THREADS = 4  # calls that hang at once; further ones wait for their turn, and time out as well


def _late() -> Exception:
    return Unreachable(NO_ANSWER)


class TimedStore:
    """Each call raises Unreachable where the store has not answered in time."""

    def __init__(self, store: Store, name: str, timeout: float) -> None:
        self._store = store
        self._threads = ThreadPool(name, THREADS, timeout, _late)

    def put(self, data: bytes) -> str:
        return self._threads.run_sync(self._store.put, data)

    def get(self, sha256: str) -> bytes:
        return self._threads.run_sync(self._store.get, sha256)

    def delete(self, sha256: str) -> None:
        self._threads.run_sync(self._store.delete, sha256)

    def page(self, after: str) -> list[tuple[str, float]]:
        return self._threads.run_sync(self._store.page, after)

    def close(self) -> None:
        self._threads.close()
