"""The workers that are alive, and the models each holds, as their leases in Redis say."""

import json
import logging
from collections.abc import Iterable
from typing import Literal

import redis.asyncio
from pydantic import BaseModel, ConfigDict, ValidationError

from app.core.scripts import source

log = logging.getLogger(__name__)

LEASES = source("leases")
State = Literal["unloaded", "loading", "ready", "failed"]
IN_ORDER: tuple[State, ...] = ("loading", "failed")  # of the states of a model that is not ready
Determinism = Literal["bitwise", "none"]


class HeldModel(BaseModel):
    model_config = ConfigDict(frozen=True)

    state: Literal["loading", "ready", "failed"]
    determinism: Determinism | None = None
    bytes: int | None = None


class Lease(BaseModel):
    """What a worker says of itself with each heartbeat; `models` is by checkpoint sha256.

    `orders` to load or unload are what it has been asked for and does not show in `models` yet.
    """

    model_config = ConfigDict(frozen=True)

    worker: str = ""
    device: str = ""
    since: int | None = None
    capacity: int = 0
    in_flight: int = 0
    memory_limit: int | None = None  # bytes of models
    models: dict[str, HeldModel] = {}
    orders: dict[str, str] = {}
    store_problem: str | None = None  # why it can't write the artifact store, while it can't

    @property
    def public_name(self) -> str:
        """The worker's name without the host and the process in it."""
        return f"worker-{self.worker.rpartition('-')[2]}"

    def state_of(self, sha256: str) -> State:
        """How it stands with a model; one that it is to load is loading."""
        model = self.models.get(sha256)
        if self.orders.get(sha256) == "load" and (model is None or model.state == "failed"):
            return "loading"
        return model.state if model else "unloaded"

    def has(self, sha256: str) -> bool:
        """Whether it has a model in memory or loads it, and is not to unload it."""
        there = self.state_of(sha256) in ("ready", "loading")
        return there and self.orders.get(sha256) != "unload"

    @property
    def memory(self) -> int | None:
        """Bytes of the models that it has or loads, if it says so."""
        sizes = [model.bytes for model in self.models.values() if model.state != "failed"]
        return None if None in sizes else sum(size or 0 for size in sizes)


async def read_leases(connection: "redis.asyncio.Redis") -> list[Lease]:
    """The leases that have not run out."""
    flat: list[str] = await connection.register_script(LEASES)()
    triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    return [lease for triple in triples if (lease := _parsed(*triple))]


def _parsed(worker: str, text: str, orders: str) -> Lease | None:
    try:
        lease = Lease.model_validate_json(text)
        return lease.model_copy(update={"worker": worker, "orders": json.loads(orders)})
    except ValidationError as error:
        log.warning("the lease of %s can't be read: %s", worker, error.errors()[0]["msg"])
        return None


def model_state(leases: Iterable[Lease], sha256: str) -> tuple[State, Determinism | None]:
    """How a model stands over all workers: ready if one has it ready, else loading, else failed."""
    workers = list(leases)
    ready = [x.models[sha256] for x in workers if x.state_of(sha256) == "ready"]
    if ready:
        return "ready", next((x.determinism for x in ready if x.determinism), None)
    states = {x.state_of(sha256) for x in workers}
    return next((x for x in IN_ORDER if x in states), "unloaded"), None


def memory_of(leases: Iterable[Lease], sha256: str) -> int | None:
    """The bytes that a model takes where it is ready, the most of all workers that say so."""
    ready = [x.models[sha256] for x in leases if x.state_of(sha256) == "ready"]
    return max((x.bytes for x in ready if x.bytes is not None), default=None)
