"""The queues that a worker reads: one for each checkpoint, and those that wait for an import."""

from app.core.imports import IMPORTING, Imports
from app.core.job_record import queue_name
from models.registry import CheckpointEntry
from workers.model_cache import ModelCache
from workers.queue_client import Claim


class ModelQueues:
    """Names of queues, and the checkpoint that runs the jobs of each."""

    def __init__(self, cache: ModelCache, imports: Imports) -> None:
        self._cache, self._imports = cache, imports
        self.entries: dict[str, CheckpointEntry] = {}

    def refresh(self) -> None:
        """Read which checkpoints exist now. One that was imported has two queues: jobs may have
        waited for it under the name of its import."""
        entries, imports = self._cache.entries(), self._imports.read()
        self.entries = {queue_name(e.id, e.sha256): e for e in entries}
        self.entries |= {queue_name(e.id, IMPORTING): e for e in entries if e.id in imports}

    def failed_imports(self) -> dict[str, str]:
        """Returns the queues that wait for an import that failed, and its error."""
        imports = self._imports.read().items()
        failed = {queue_name(model, IMPORTING): status.error for model, status in imports}
        return {q: error for q, error in failed.items() if error and q not in self.entries}

    def checkpoint_of(self, claim: Claim) -> str:
        """Returns the SHA-256 of the checkpoint that runs a job, also of an imported one."""
        sha256 = claim.record.get("sha256", "")
        entry = self.entries.get(claim.record.get("origin", ""))
        return entry.sha256 if sha256 == IMPORTING and entry else sha256

    def why_unusable(self, claim: Claim, sha256: str) -> str:
        """Returns why the checkpoint of a job can't run it, for its client."""
        if refusal := self._cache.refused.get(sha256):
            return refusal.reason
        if error := self.failed_imports().get(claim.record.get("origin", "")):
            return f"its import failed: {error}"
        return "it is no longer there"
