"""Atelier's client: `from atelier import Client`. Nothing is loaded until it is asked for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atelier.client.async_client import AsyncClient
    from atelier.client.client import Client
    from atelier.client.errors import (
        APIError,
        AtelierError,
        AuthenticationError,
        BadRequestError,
        ConflictError,
        ConnectionFailed,
        GoneError,
        JobCanceled,
        JobError,
        JobFailed,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        ServerError,
        TextChangedError,
        WaitTimeout,
    )
    from atelier.client.jobs import AsyncJob, AsyncOutput, Job, Output
    from atelier.client.sse import Event

__all__ = [
    "APIError",
    "AsyncClient",
    "AsyncJob",
    "AsyncOutput",
    "AtelierError",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "ConnectionFailed",
    "Event",
    "GoneError",
    "Job",
    "JobCanceled",
    "JobError",
    "JobFailed",
    "NotFoundError",
    "Output",
    "PermissionDeniedError",
    "RateLimitError",
    "ServerError",
    "TextChangedError",
    "WaitTimeout",
]


def __getattr__(name: str) -> object:
    """Loads the client at its first use: `atelier up` and the workers' tools go without httpx."""
    if name not in __all__:
        raise AttributeError(f"module 'atelier' has no attribute {name!r}")
    from atelier.client import async_client, client, errors, jobs, sse

    found = vars(async_client) | vars(client) | vars(errors) | vars(jobs) | vars(sse)
    return found[name]
