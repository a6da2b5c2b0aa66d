"""/livez, /readyz, /metrics: for those who run the service."""

import redis
from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.core.errors import Unavailable
from app.core.job_record import SUSPENDED
from app.core.schemas import Alive, Ready
from app.deps import ServicesDep, check_metrics_scope
from app.http.openapi_examples import errors, reply
from app.http.responses import json_reply
from app.metrics import read_load
from app.queue.connections import refuses_credentials
from app.queue.queue import Queue

router = APIRouter(tags=["health"])


@router.get(
    "/livez",
    summary="Is the process alive",
    response_model=Alive,
    responses={200: reply("It is.", {"status": "alive"}), **errors()},
)
async def livez() -> Response:
    """Asks nothing of Redis or the workers."""
    return json_reply(Alive())


@router.get(
    "/readyz",
    summary="Can it do work",
    response_model=Ready,
    responses={200: reply("It can.", {"status": "ready", "workers": 1}), **errors(503)},
)
async def readyz(services: ServicesDep) -> Response:
    """503, with the reason, while Redis is away, the queue is suspended, no worker is alive, or
    none can write the artifact store."""
    try:
        workers = await _count_ready_workers(services.queue)
    except (Unavailable, redis.RedisError) as error:
        services.note_readiness(str(error))
        raise
    services.note_readiness("")
    return json_reply(Ready(workers=workers))


async def _count_ready_workers(queue: Queue) -> int:
    """How many workers take jobs now. Raises Unavailable, with the reason where none does."""
    try:
        suspended = await queue.connection.exists(SUSPENDED)
    except redis.RedisError as error:
        if not refuses_credentials(error):
            raise
        raise Unavailable("the queue refuses the password that the service has") from None
    if suspended:
        message = "the queue is suspended; `rq resume` lets workers take jobs again"
        raise Unavailable(message, code="queue_suspended", retry_after=5)
    leases = await queue.leases()
    if not leases:
        raise Unavailable("no worker is alive", code="no_workers", retry_after=5)
    problems = [lease.store_problem for lease in leases if lease.store_problem]
    if len(problems) == len(leases):
        message = f"the store can't be written: {problems[0]}"
        raise Unavailable(message, code="store_unavailable", retry_after=5)
    return len(leases) - len(problems)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text.", "content": {"text/plain": {"schema": {}}}},
        **errors(401, 403, 503),
    },
    dependencies=[Depends(check_metrics_scope)],
)
async def metrics(services: ServicesDep) -> Response:
    """Requests by route and status, jobs waiting by model, items in flight, workers alive."""
    queue = services.queue
    load = await read_load(queue.connection, await queue.leases())
    text = services.metrics.render(load)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
