"""The models in memory: loaded on first use, proved, and evicted least-recently-used.

Loading runs in a thread of its own, so that running flows go on. A model with flows in flight is
never evicted; one that does not fit beside them waits until they are done.
"""

import gc
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.determinism import Determinism, DeterminismReport, check_determinism
from models.engine.flow import Family
from models.families import FAMILIES
from models.registry import CheckpointEntry, CheckpointRegistry
from workers.encoders.determinism import unrepeatable

log = logging.getLogger("atelier.worker")

RETRY_SECONDS = 10.0  # a model that failed to load is not tried again before
TRIES = 3  # loads that fail for no fault of the file before the jobs that wait for it fail


@dataclass
class Loaded:
    """A model that is ready to run."""

    entry: CheckpointEntry
    family: Family[Any]
    proof: DeterminismReport
    bytes: int
    used: float  # when it last had a flow
    unrepeatable: frozenset[str] = frozenset()
    """Output formats whose encoders do not repeat their bytes here."""

    @property
    def determinism(self) -> Determinism:
        """What holds whatever the model is asked for."""
        return "none" if self.unrepeatable else self.proof.determinism

    def determinism_in(self, output_format: str) -> Determinism:
        """What holds for a job that asks for this format."""
        return "none" if output_format in self.unrepeatable else self.proof.determinism


@dataclass(frozen=True)
class FailedLoad:
    """A model that could not be loaded, why, and when that was."""

    reason: str
    since: float
    final: bool = True  # else it is tried again before its jobs fail


class ModelCache:
    """Holds models under a budget of bytes. Used by one thread, which it tells by `wake`."""

    def __init__(
        self,
        registry: CheckpointRegistry,
        placement: Placement,
        budget: int,
        wake: Callable[[], None],
    ) -> None:
        self._registry, self._placement = registry, placement
        self._budget, self._wake = budget, wake
        self._wanted: queue.SimpleQueue[tuple[CheckpointEntry, int] | None] = queue.SimpleQueue()
        self._closed = False
        # A daemon: the process may end while a model is loading.
        self._loader = threading.Thread(target=self._load_all, name="load", daemon=True)
        self._arrived: queue.SimpleQueue[tuple[str, Loaded | FailedLoad]] = queue.SimpleQueue()
        self.loaded: dict[str, Loaded] = {}  # by sha256
        self.refused: dict[str, FailedLoad] = {}
        self.loading: dict[str, int] = {}  # bytes by sha256
        self._tries: dict[str, int] = {}  # failed loads by sha256; the loader's own

    @property
    def device(self) -> torch.device:
        """Where the models run."""
        return self._placement.device

    def states(self) -> dict[str, dict[str, str | int | None]]:
        """How each model stands, for the lease: state, determinism and bytes by SHA-256."""
        states: dict[str, dict[str, str | int | None]] = {}
        for sha256, model in list(self.loaded.items()):
            states[sha256] = {"state": "ready", "determinism": model.determinism}
            states[sha256]["bytes"] = model.bytes
        for sha256, need in list(self.loading.items()):
            states[sha256] = {"state": "loading", "bytes": need}
        return states | {sha256: {"state": "failed"} for sha256 in list(self.refused)}

    def entries(self) -> list[CheckpointEntry]:
        """Every checkpoint at hand; two of them may be the same bytes."""
        return list(self._registry.entries().values())

    def collect(self) -> list[Loaded]:
        """The models whose loading has ended well since the last look."""
        fresh: list[Loaded] = []
        while not self._arrived.empty():
            sha256, outcome = self._arrived.get()
            del self.loading[sha256]
            if isinstance(outcome, Loaded):
                self.loaded[sha256] = outcome
                fresh.append(outcome)
            else:
                self.refused[sha256] = outcome
        now = time.monotonic()
        for sha256, refusal in list(self.refused.items()):
            if now - refusal.since > RETRY_SECONDS:
                del self.refused[sha256]
        return fresh

    def want(self, entry: CheckpointEntry, busy: Collection[str]) -> set[str]:
        """Load this model, evicting the idle. Returns the busy ones to drain first, if any."""
        if entry.sha256 in self.loaded or entry.sha256 in self.loading:
            return set()
        try:
            need = self._weighed(entry)
        except CheckpointError as error:
            log.warning("model refused", extra={"model": entry.id, "reason": str(error)})
            self.refused[entry.sha256] = FailedLoad(str(error), time.monotonic())
            return set()
        victims = self._victims(need)
        if victims & self.loading.keys():
            return set()  # its turn comes when those are here
        if in_use := victims & set(busy):
            return in_use
        for sha256 in victims:
            log.info("model evicted", extra={"model": self.loaded.pop(sha256).entry.id})
        self.loading[entry.sha256] = need
        if not self._loader.is_alive():
            self._loader.start()
        self._wanted.put((entry, need))
        return set()

    def unload(self, sha256: str) -> None:
        """Drop an idle model and free its memory."""
        log.info("model unloaded", extra={"model": self.loaded.pop(sha256).entry.id})
        gc.collect()  # it is only free once its cycles are
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _weighed(self, entry: CheckpointEntry) -> int:
        """The bytes that it takes. Raises CheckpointError where it never fits, or where nobody can
        tell: a header is a stranger's, and must not end the worker."""
        try:
            need = loaded_bytes(entry, self._placement)
        except CheckpointError:
            raise
        except Exception:
            log.exception("model can't be weighed", extra={"model": entry.id})
            raise CheckpointError("its header is not what its family needs") from None
        if need > self._budget:
            raise CheckpointError(
                f"it takes {need} bytes, and ATELIER_MODEL_MEMORY allows {self._budget}"
            )
        return need

    def _victims(self, need: int) -> set[str]:
        """The least recently used models whose going makes room."""
        used = sum(m.bytes for m in self.loaded.values()) + sum(self.loading.values())
        victims: set[str] = set()
        for sha256, model in sorted(self.loaded.items(), key=lambda item: item[1].used):
            if used + need <= self._budget:
                break
            victims.add(sha256)
            used -= model.bytes
        return victims if used + need <= self._budget else victims | self.loading.keys()

    def _load_all(self) -> None:
        while (wanted := self._wanted.get()) and not self._closed:
            self._load(*wanted)

    def _load(self, entry: CheckpointEntry, need: int) -> None:
        outcome: Loaded | FailedLoad
        try:
            outcome = self._build(entry, need)
        except CheckpointError as error:
            log.warning("model refused", extra={"model": entry.id, "reason": str(error)})
            outcome = FailedLoad(str(error), time.monotonic())
        except Exception:
            log.exception("model failed to load", extra={"model": entry.id})
            tries = self._tries[entry.sha256] = self._tries.get(entry.sha256, 0) + 1
            outcome = FailedLoad("it could not be loaded", time.monotonic(), tries % TRIES == 0)
        self._arrived.put((entry.sha256, outcome))
        self._wake()

    def _build(self, entry: CheckpointEntry, need: int) -> Loaded:
        start = time.perf_counter()
        gc.collect()  # what was evicted is only free once its cycles are
        checkpoint = load(entry.path)
        if checkpoint.sha256 != entry.sha256:
            raise CheckpointError(f"{entry.path.name} has just been replaced")
        family = FAMILIES[checkpoint.header.family].load(checkpoint, self._placement)
        proof = check_determinism(family.batched, self._placement.device)
        fault = unrepeatable(checkpoint.header)
        loaded = Loaded(entry, family, proof, need, time.monotonic(), fault)
        seconds = round(time.perf_counter() - start, 3)
        facts = {"model": entry.id, "seconds": seconds, "determinism": loaded.determinism}
        log.info("model loaded", extra=facts)
        return loaded

    def close(self) -> None:
        """Load nothing more; what is just loading is not waited for."""
        self._closed = True
        self._wanted.put(None)


def loaded_bytes(entry: CheckpointEntry, placement: Placement) -> int:
    """What a checkpoint takes in memory: its tensors in the precision they are run in, and what
    its family keeps beside them."""
    family = FAMILIES[entry.header.family]
    return family.loaded_bytes(entry.header, entry.elements, entry.precisions, placement)
