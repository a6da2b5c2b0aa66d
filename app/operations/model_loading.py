"""Loads models before a job needs them, and unloads those that none needs.

An order goes to workers by `order.lua`; `workers/model_orders.py` carries it out.
"""

import secrets

from app.catalog.catalog import CatalogEntry
from app.core.errors import NotReady, Unavailable
from app.core.job_record import queue_name
from app.queue.queue import Queue
from app.queue.worker_leases import Lease

READERS = "rq:workers:"  # RQ's set of the workers that read a queue
WORKER = "rq:worker:"


async def load_model(queue: Queue, entry: CatalogEntry) -> None:
    """Have one worker load a model, unless one has it or loads it.

    That is a worker with the model's file; among several, the one with the most memory free.
    Raises NotReady where the model is being imported, and Unavailable where no worker can load it.
    """
    if entry.importing:
        message = f"{entry.id} is being imported; it can be loaded when that is done"
        raise NotReady(message, code="model_importing")
    leases = await queue.leases()
    if any(lease.has(entry.sha256) for lease in leases):
        return
    chosen = _roomiest(await _able(queue, entry, leases), entry.sha256)
    await _order(queue, entry, "load", [chosen])


async def unload_model(queue: Queue, entry: CatalogEntry) -> None:
    """Have every worker unload a model that has it or loads it."""
    leases = await queue.leases()
    await _order(queue, entry, "unload", [x for x in leases if x.has(entry.sha256)])


async def _able(queue: Queue, entry: CatalogEntry, leases: list[Lease]) -> list[Lease]:
    """The workers that are alive and have the model's file."""
    if not leases:
        raise Unavailable("no worker is alive", code="no_workers", retry_after=5)
    readers = await queue.connection.smembers(READERS + queue_name(entry.id, entry.sha256))
    able = [lease for lease in leases if WORKER + lease.worker in readers]
    if not able:
        message = f"no worker has the file of {entry.id}"
        raise Unavailable(message, code="no_workers", retry_after=5)
    return able


def _roomiest(leases: list[Lease], sha256: str) -> Lease:
    """The worker that still has the model, though it was to unload it, or else the one with the
    most memory free."""

    def room(lease: Lease) -> tuple[bool, int, str]:
        return sha256 in lease.models, (lease.memory_limit or 0) - (lease.memory or 0), lease.worker

    return max(leases, key=room)


async def _order(queue: Queue, entry: CatalogEntry, order: str, leases: list[Lease]) -> None:
    if leases:
        names = [lease.worker for lease in leases]
        await queue.run_script("order", entry.sha256, order, secrets.token_hex(8), *names)
