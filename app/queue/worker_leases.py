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


class Lease(BaseModel):
    """What a worker says of itself with each heartbeat; `models` is by checkpoint sha256."""

    model_config = ConfigDict(frozen=True)

    pid: int = 0
    host: str = ""
    capacity: int = 0
    in_flight: int = 0
    models: dict[str, HeldModel] = {}
    store_problem: str | None = None  # why it can't write the artifact store, while it can't


async def read_leases(connection: "redis.asyncio.Redis") -> list[Lease]:
    """The leases that have not run out."""
    flat: list[str] = await connection.register_script(LEASES)()
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [lease for worker, text in pairs if (lease := _parsed(worker, text))]


def _parsed(worker: str, text: str) -> Lease | None:
    try:
        return Lease.model_validate_json(text)
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
