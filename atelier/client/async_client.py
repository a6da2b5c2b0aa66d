"""The service from Python, for asyncio: what `client.py` has and its laws, with awaitables."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from atelier.client.errors import Outcome, checked, json_of, pause_before_retry
from atelier.client.jobs import AsyncJob
from atelier.client.requests import (
    Card,
    Listing,
    body_of,
    file_of,
    key_header,
    model_path,
    stream_limits,
    submission,
    url_of,
)
from atelier.client.transport import Query
from atelier.client.views import job_path


class AsyncClient:
    """Client for asyncio: calls are awaited, jobs and events are read with `async for`."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30,
        max_retries: int = 3,
    ) -> None:
        self.max_retries = max_retries
        self._http = httpx.AsyncClient(
            base_url=url_of(base_url), headers=key_header(api_key), timeout=timeout
        )

    async def image(
        self,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> AsyncJob:
        """Ask for pictures, as with `Client.image`."""
        common = body_of(model, n, seed, output_format, metadata)
        return await self.submit("image", common | params)

    async def text_to_image(
        self,
        prompt: str,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> AsyncJob:
        """Ask for pictures of what words say, as with `Client.text_to_image`."""
        common = body_of(model, n, seed, output_format, metadata)
        return await self.submit("text-to-image", {"prompt": prompt} | common | params)

    async def audio(
        self,
        style: str | None = None,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> AsyncJob:
        """Ask for music, as with `Client.audio`."""
        common = body_of(model, n, seed, output_format, metadata)
        named = {} if style is None else {"style": style}
        return await self.submit("audio", named | common | params)

    async def video(
        self,
        prompt: str,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> AsyncJob:
        """Ask for a video of what words say, as with `Client.video`."""
        common = body_of(model, n, seed, output_format, metadata)
        return await self.submit("video", {"prompt": prompt} | common | params)

    async def story(
        self,
        prompt: str | None = None,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> AsyncJob:
        """Ask for a text, as with `Client.story`."""
        common = body_of(model, n, seed, output_format, metadata)
        named = {} if prompt is None else {"prompt": prompt}
        return await self.submit("story", named | common | params)

    async def submit(
        self, route: str, body: Mapping[str, Any], idempotency_key: str | None = None
    ) -> AsyncJob:
        """POST /generate/{route}. The same key and body give the same job, from any process."""
        content, headers = submission(body, idempotency_key)
        answer = await self.call("POST", f"/generate/{route}", content, headers)
        return AsyncJob(self, json_of(answer))

    async def job(self, job_id: str) -> AsyncJob:
        return AsyncJob(self, json_of(await self.call("GET", job_path(job_id))))

    async def jobs(
        self,
        status: str | None = None,
        type: str | None = None,  # noqa: A002 (the API's word)
        limit: int | None = None,
        full: bool = False,
    ) -> AsyncIterator[AsyncJob]:
        """Your jobs, newest first, at most `limit`; pages are asked for as they are read.

        Long texts are left out, and `data["omitted"]` names them, unless `full` is true.
        """
        listing = Listing(status, type, limit, full)
        while listing.open:
            for data in listing.take(await self.call("GET", "/jobs", query=listing.query)):
                yield AsyncJob(self, data)

    async def models(self) -> list[Card]:
        cards: list[Card] = json_of(await self.call("GET", "/models"))["data"]
        return cards

    async def model(self, model_id: str) -> Card:
        card: Card = json_of(await self.call("GET", model_path(model_id)))
        return card

    async def upload(self, source: str | Path | bytes, content_type: str | None = None) -> Card:
        """Store an input, from a path or from memory; requests name its `sha256`."""
        content, headers = await asyncio.to_thread(file_of, source, content_type)
        stored: Card = json_of(await self.call("POST", "/artifacts", content, headers))
        return stored

    async def call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> httpx.Response:
        """Any call, tried again where that may help. Raises APIError, ConnectionFailed."""
        request = self._http.build_request(
            method, path, content=content, headers=headers, params=query
        )
        tries = 0
        while (outcome := await self._try(request, tries)) is None:
            tries += 1
        return outcome

    async def _try(self, request: httpx.Request, tries: int) -> httpx.Response | None:
        """The answer, or None after a rest, if the call is to be tried again."""
        outcome: Outcome
        try:
            outcome = await self._http.send(request)
        except httpx.TransportError as error:
            outcome = error
        pause = pause_before_retry(outcome, tries, self.max_retries)
        if pause is None:
            return checked(outcome)
        await asyncio.sleep(pause)
        return None

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str]
    ) -> AsyncGenerator[httpx.Response, None]:
        """An answer that is read as it comes; tried once."""
        limits = stream_limits(self._http.timeout, math.inf)
        async with self._http.stream("GET", path, headers=headers, timeout=limits) as answer:
            yield answer

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
