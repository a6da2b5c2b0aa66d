"""Atelier's client: `from atelier import Client`. It is loaded at its first use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atelier.client.client import AsyncClient, Client
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
    """Loads the client: `atelier up` and the tools of workers run without httpx."""
    if name not in __all__:
        raise AttributeError(f"module 'atelier' has no attribute {name!r}")
    from atelier.client import client, errors, jobs, sse

    return (vars(client) | vars(errors) | vars(jobs) | vars(sse))[name]
