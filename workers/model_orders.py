"""Orders to load or unload a model, as the API gives them by `POST /models/{id}/load`.

`order.lua` writes an order, and every look of the worker reads those that stand. One that has been
carried out is withdrawn by the same script that renews the lease, so that whoever reads leases
sees either the order or its outcome.
"""

from collections.abc import Collection, Mapping

from models.registry import CheckpointEntry
from workers.model_cache import ModelCache
from workers.model_queues import ModelQueues


class ModelOrders:
    """The orders of one worker. Its main thread obeys them; the heartbeat reads `done`."""

    def __init__(self, cache: ModelCache, queues: ModelQueues) -> None:
        self._cache, self._queues = cache, queues
        self.done: Mapping[str, str] = {}
        """Orders that have been carried out and may still stand in Redis, by SHA-256."""
        self.leaving: frozenset[str] = frozenset()
        """Models that take no more jobs, since they are to be unloaded."""

    def obey(self, orders: Mapping[str, str], busy: Collection[str]) -> None:
        """Carry out what can be carried out now. `busy` models have jobs in flight.

        A busy model is unloaded once its jobs have ended. A model for which only busy ones could
        make room is loaded once they are idle.
        """
        done = {sha: order for sha, order in orders.items() if self.done.get(sha) == order}
        leaving = set()
        for sha256, order in orders.items():
            if sha256 in done:
                continue
            obeyed = self._load if order.startswith("load/") else self._unload
            if obeyed(sha256, busy):
                done[sha256] = order
            elif obeyed == self._unload:
                leaving.add(sha256)
        self.done, self.leaving = done, frozenset(leaving)

    def _load(self, sha256: str, busy: Collection[str]) -> bool:
        """Whether the model is there, is being loaded, or can't be loaded."""
        entry = self._entry(sha256)
        if entry is None:  # its file was taken away
            return True
        self._cache.refused.pop(sha256, None)  # whoever asks again wants another try
        self._cache.want(entry, busy)
        known = (self._cache.loaded, self._cache.loading, self._cache.refused)
        return any(sha256 in models for models in known)

    def _unload(self, sha256: str, busy: Collection[str]) -> bool:
        """Whether the model is in memory no more."""
        if sha256 in self._cache.loaded and sha256 not in busy:
            self._cache.unload(sha256)
        return sha256 not in self._cache.loaded and sha256 not in self._cache.loading

    def _entry(self, sha256: str) -> CheckpointEntry | None:
        entries = self._queues.entries.values()
        return next((entry for entry in entries if entry.sha256 == sha256), None)
