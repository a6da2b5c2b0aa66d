"""The clients of the service: `Client`, which blocks, and `AsyncClient`, for asyncio.

1. A submit carries an Idempotency-Key, so that a repeated request makes no second job. Every other
   native call is idempotent by itself. So each call is repeated a few times where that may help:
   no answer, 429, 503 (`errors.pause_before_retry`).
2. Events are read at the server's pace. The clients do not poll.
"""

from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack

import httpx

from atelier.client.drivers import AsyncDriver, Driver
from atelier.client.flows import Query, Send, call, fetch_json
from atelier.client.jobs import AsyncJob, Job
from atelier.client.modalities import Modalities
from atelier.client.requests import (
    Card,
    JobSearch,
    list_jobs,
    list_models,
    model_path,
    submit_job,
    upload_file,
)
from atelier.client.views import job_path


class Client(Driver, Modalities[Job]):
    """A connection to a service; a context manager. Threads may share it."""

    def submit(
        self, modality: str, body: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Job:
        """POST /generate/{modality}. The same key and body return the same job."""
        return Job(self, self.run(submit_job(modality, body, idempotency_key, self.max_retries)))

    def job(self, job_id: str) -> Job:
        return Job(self, self.run(fetch_json(Send("GET", job_path(job_id)), self.max_retries)))

    def jobs(
        self,
        status: str | None = None,
        type: str | None = None,  # noqa: A002 (the API's word)
        limit: int | None = None,
        full: bool = False,
        **search: Unpack[JobSearch],
    ) -> Iterator[Job]:
        """Yields your jobs, newest first, at most `limit`, and requests pages as they are read.

        `model`, `q`, `created_after` and `created_before` search, as `GET /jobs` does.
        Long texts are left out, and `data["omitted"]` names them, unless `full` is true.
        """
        filters = {"status": status, "type": type, **search}
        for data in self.iterate(list_jobs(filters, limit, full, self.max_retries)):
            yield Job(self, data)

    def models(self) -> list[Card]:
        """Returns the cards of all models."""
        return self.run(list_models(self.max_retries))

    def model(self, model_id: str) -> Card:
        """Returns a model's card. Raises NotFoundError."""
        card: Card = self.run(fetch_json(Send("GET", model_path(model_id)), self.max_retries))
        return card

    def upload(self, source: str | Path | bytes, content_type: str | None = None) -> Card:
        """Stores an input, from a path or from memory. Requests refer to it by its `sha256`."""
        return self.run(upload_file(source, content_type, self.max_retries))

    def call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> httpx.Response:
        """Sends any request, again where that may help. Raises APIError, ConnectionFailed."""
        return self.run(call(Send(method, path, content, headers, query), self.max_retries))


class AsyncClient(AsyncDriver, Modalities[Coroutine[Any, Any, AsyncJob]]):
    """`Client` for asyncio: calls are awaited, jobs and events are read with `async for`."""

    async def submit(
        self, modality: str, body: Mapping[str, Any], idempotency_key: str | None = None
    ) -> AsyncJob:
        flow = submit_job(modality, body, idempotency_key, self.max_retries)
        return AsyncJob(self, await self.run(flow))

    async def job(self, job_id: str) -> AsyncJob:
        flow = fetch_json(Send("GET", job_path(job_id)), self.max_retries)
        return AsyncJob(self, await self.run(flow))

    async def jobs(
        self,
        status: str | None = None,
        type: str | None = None,  # noqa: A002 (the API's word)
        limit: int | None = None,
        full: bool = False,
        **search: Unpack[JobSearch],
    ) -> AsyncIterator[AsyncJob]:
        filters = {"status": status, "type": type, **search}
        async for data in self.iterate(list_jobs(filters, limit, full, self.max_retries)):
            yield AsyncJob(self, data)

    async def models(self) -> list[Card]:
        return await self.run(list_models(self.max_retries))

    async def model(self, model_id: str) -> Card:
        card: Card = await self.run(fetch_json(Send("GET", model_path(model_id)), self.max_retries))
        return card

    async def upload(self, source: str | Path | bytes, content_type: str | None = None) -> Card:
        return await self.run(upload_file(source, content_type, self.max_retries))

    async def call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> httpx.Response:
        flow = call(Send(method, path, content, headers, query), self.max_retries)
        return await self.run(flow)
