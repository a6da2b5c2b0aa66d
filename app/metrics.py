"""Figures for Prometheus: requests as they are answered, the queue as it is when asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from app.core.job_record import COUNTERS
from app.queue.worker_leases import Lease

QUEUES = "rq:queues"  # RQ's set of queue keys
PREFIX = "rq:queue:model:"


@dataclass(frozen=True)
class Load:
    """What Redis says of the work: jobs waiting by model, items in flight, workers alive."""

    waiting: Mapping[str, int]
    in_flight: int
    workers: int
    without_store: int = 0
    unreadable: int = 0


class Metrics:
    """The figures of one app, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "atelier_http_request_seconds",
            "Time to answer a request.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._waiting = Gauge(
            "atelier_jobs_waiting",
            "Jobs waiting for a model.",
            ("model",),
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "atelier_items_in_flight", "Items that workers run now.", registry=self._registry
        )
        self._unreadable = Gauge(
            "atelier_records_unreadable",
            "Records and keys of Redis that could not be read and were set aside.",
            registry=self._registry,
        )
        self._workers = Gauge(
            "atelier_workers_live", "Workers that hold a lease.", registry=self._registry
        )
        self._without_store = Gauge(
            "atelier_workers_store_unavailable",
            "Live workers that can't write the artifact store and so take no jobs.",
            registry=self._registry,
        )

    def render(self, load: Load) -> bytes:
        """The text that Prometheus reads."""
        self._waiting.clear()
        for model, jobs in load.waiting.items():
            self._waiting.labels(model).set(jobs)
        self._in_flight.set(load.in_flight)
        self._workers.set(load.workers)
        self._without_store.set(load.without_store)
        self._unreadable.set(load.unreadable)
        return generate_latest(self._registry)


async def read_load(connection: "redis.asyncio.Redis", leases: list[Lease]) -> Load:
    """Counters only: no queue is scanned."""
    known: set[Any] = await connection.smembers(QUEUES)
    queues = sorted(q for q in known if q.startswith(PREFIX))
    async with connection.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.llen(queue)
        pipe.hget(COUNTERS, "unreadable")
        *lengths, unreadable = await pipe.execute()
    waiting: dict[str, int] = {}
    for queue, length in zip(queues, lengths, strict=True):
        model = queue.removeprefix(PREFIX).rpartition("@")[0]
        waiting[model] = waiting.get(model, 0) + length
    in_flight = sum(x.in_flight for x in leases)
    without_store = sum(lease.store_problem is not None for lease in leases)
    return Load(waiting, in_flight, len(leases), without_store, int(unreadable or 0))
