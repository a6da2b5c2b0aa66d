"""What jobs and outputs need of the client that made them: calls and streams."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

import httpx

Query = Mapping[str, str | int]


class Transport(Protocol):
    """Sends requests; a call that fails for a reason that passes is sent again."""

    max_retries: int

    def call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> httpx.Response: ...

    def stream(
        self, path: str, headers: Mapping[str, str], seconds: float
    ) -> AbstractContextManager[httpx.Response]: ...


class AsyncTransport(Protocol):
    """The same with awaitables."""

    max_retries: int

    async def call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> httpx.Response: ...

    def stream(
        self, path: str, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[httpx.Response]: ...
