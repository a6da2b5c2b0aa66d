"""What the service does now, and has done in the last hour."""

from collections.abc import Sequence
from typing import Literal

import redis.asyncio
from pydantic import Field

from app.catalog.catalog import Catalog
from app.core.schemas import Schema
from app.core.scripts import source
from app.queue.worker_leases import Lease

MINUTES = 60


class WorkerSummary(Schema):
    """A worker that is alive."""

    name: str
    device: str = Field(description="`cpu` or `cuda:0`; empty where the worker doesn't say.")
    in_flight: int | None = Field(
        default=None, description="Items that it runs; null without the scope `metrics`."
    )
    capacity: int = Field(description="Rows that it runs at once: a picture is one.")
    models: list[str] = Field(description="Ids of the models that it has in memory.")
    memory_bytes: int | None = Field(
        default=None, description="Bytes of the models that it has or loads."
    )
    memory_limit: int | None = Field(default=None, description="Bytes that its models may take.")
    since: int | None = Field(default=None, description="When it started, in seconds since 1970.")
    ready: bool = Field(
        description="False while it can't write the artifact store: it takes no jobs."
    )


class MinuteCounts(Schema):
    """The jobs that ended in a minute; canceled ones are not counted."""

    minute: int = Field(description="Its beginning, in seconds since 1970.")
    completed: int
    failed: int


class ServiceStatus(Schema):
    """The workers, and everybody's figures, which need the scope `metrics`."""

    object: Literal["status"] = "status"
    version: str
    workers: list[WorkerSummary]
    waiting: dict[str, int] | None = Field(
        default=None, description="Jobs that wait, by model; null without the scope `metrics`."
    )
    in_flight: int | None = Field(
        default=None, description="Items that workers run; null without the scope `metrics`."
    )
    finished: list[MinuteCounts] | None = Field(
        default=None,
        description="Each of the last sixty minutes, the present one last; null without the scope "
        "`metrics`.",
    )


def summaries(leases: Sequence[Lease], catalog: Catalog, with_figures: bool) -> list[WorkerSummary]:
    """The workers, by name. Models that this process does not know are left out."""
    workers = [_summary(lease, catalog, with_figures) for lease in leases]
    return sorted(workers, key=lambda worker: worker.name)


def _summary(lease: Lease, catalog: Catalog, with_figures: bool) -> WorkerSummary:
    ready = {sha256 for sha256, model in lease.models.items() if model.state == "ready"}
    return WorkerSummary(
        name=lease.public_name,
        device=lease.device,
        in_flight=lease.in_flight if with_figures else None,
        capacity=lease.capacity,
        models=[model for model, entry in catalog.of() if entry.sha256 in ready],
        memory_bytes=lease.memory,
        memory_limit=lease.memory_limit,
        since=lease.since,
        ready=lease.store_problem is None,
    )


async def read_minutes(connection: "redis.asyncio.Redis") -> list[MinuteCounts]:
    """How many jobs ended in each of the last sixty minutes, by the clock of Redis."""
    last, *counts = await connection.register_script(source("ended"))()
    first = last - 60 * (MINUTES - 1)
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return [
        MinuteCounts(minute=first + 60 * index, completed=completed, failed=failed)
        for index, (completed, failed) in enumerate(pairs)
    ]
