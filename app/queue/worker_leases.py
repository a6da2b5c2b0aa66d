"""The workers that are alive, and the models each holds, as their leases in Redis say."""

import logging
from collections.abc import Iterable, Sequence
from typing import Literal

import redis.asyncio
from pydantic import BaseModel, ConfigDict, ValidationError

from app.core.scripts import source

log = logging.getLogger(__name__)

LEASES = source("leases")
State = Literal["unloaded", "loading", "ready", "failed"]
Determinism = Literal["bitwise", "none"]


class HeldModel(BaseModel):
    model_config = ConfigDict(frozen=True)

    state: Literal["loading", "ready", "failed"]
    determinism: Determinism | None = None
    bytes: int | None = None


class Lease(BaseModel):
    """What a worker says of itself with each heartbeat; `models` is by checkpoint sha256."""

    model_config = ConfigDict(frozen=True)

    worker: str = ""
    device: str = ""
    since: int | None = None
    capacity: int = 0
    in_flight: int = 0
    memory_limit: int | None = None  # bytes of models
    models: dict[str, HeldModel] = {}
    store_problem: str | None = None  # why it can't write the artifact store, while it can't

    @property
    def public_name(self) -> str:
        """The worker's name without the host and the process in it."""
        return f"worker-{self.worker.rpartition('-')[2]}"

    @property
    def memory(self) -> int | None:
        """Bytes of the models that it has or loads, if it says so."""
        sizes = [model.bytes for model in self.models.values() if model.state != "failed"]
        return None if None in sizes else sum(size or 0 for size in sizes)


async def read_leases(connection: "redis.asyncio.Redis") -> list[Lease]:
    """The leases that have not run out."""
    flat: list[str] = await connection.register_script(LEASES)()
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [lease for worker, text in pairs if (lease := _parsed(worker, text))]


def _parsed(worker: str, text: str) -> Lease | None:
    try:
        return Lease.model_validate_json(text).model_copy(update={"worker": worker})
    except ValidationError as error:
        log.warning("the lease of %s can't be read: %s", worker, error.errors()[0]["msg"])
        return None


def model_state(leases: Iterable[Lease], sha256: str) -> tuple[State, Determinism | None]:
    """How a model stands over all workers: ready if one has it ready, else loading, else failed."""
    loaded: Sequence[HeldModel] = [x.models[sha256] for x in leases if sha256 in x.models]
    for state in ("ready", "loading", "failed"):
        in_state = [x for x in loaded if x.state == state]
        if in_state:
            return state, next((x.determinism for x in in_state if x.determinism), None)
    return "unloaded", None
