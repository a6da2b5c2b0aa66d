"""/status: the workers, the queue and the last hour, for people and pages."""

from typing import Any

from fastapi import APIRouter, Response

from app.auth import METRICS
from app.core.version import VERSION
from app.deps import CatalogDep, KeyDep, QueueDep
from app.http.openapi_examples import errors, reply
from app.http.responses import json_reply
from app.metrics import read_load
from app.status import ServiceStatus, read_minutes, summaries

router = APIRouter(tags=["status"])

EXAMPLE: dict[str, Any] = {
    "object": "status",
    "version": VERSION,
    "workers": [
        {
            "name": "worker-5f0c1a",
            "device": "cpu",
            "in_flight": 3,
            "capacity": 32,
            "models": ["vae-fashion"],
            "memory_bytes": 1204224,
            "memory_limit": 4294967296,
            "since": 1790000000,
            "ready": True,
        }
    ],
    "waiting": {"vae-fashion": 2},
    "in_flight": 3,
    "finished": [{"minute": 1790000040, "completed": 12, "failed": 0}],
}


@router.get(
    "/status",
    summary="Look at the service",
    response_model=ServiceStatus,
    responses={200: reply("How it stands.", EXAMPLE), **errors(401, 503)},
)
async def get_status(key: KeyDep, catalog: CatalogDep, queue: QueueDep) -> Response:
    """The workers that are alive and the models they hold; what waits and runs, and how many jobs
    ended in each of the last sixty minutes.

    Everybody's figures need the scope `metrics`. Without it they are null.
    """
    leases = await queue.leases()
    with_figures = METRICS in key.scopes
    load = await read_load(queue.connection, leases) if with_figures else None
    status = ServiceStatus(
        version=VERSION,
        workers=summaries(leases, catalog, with_figures),
        waiting=dict(load.waiting) if load else None,
        in_flight=load.in_flight if load else None,
        finished=await read_minutes(queue.connection) if with_figures else None,
    )
    return json_reply(status, headers={"Cache-Control": "no-store"})
