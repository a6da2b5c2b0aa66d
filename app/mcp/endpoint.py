"""The HTTP endpoint of the protocol, which loads the protocol's package at the first request."""

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.core.errors import NotInstalled
from app.core.tasks import end_task
from app.services import Services

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class McpEndpoint:
    """Answers the protocol's requests with a manager that lives from the first until `close`."""

    def __init__(self, services: Services, version: str) -> None:
        self._services = services
        self._version = version
        self._starting = asyncio.Lock()
        self._manager: StreamableHTTPSessionManager | None = None
        self._task: asyncio.Task[None] | None = None

    async def manager(self) -> "StreamableHTTPSessionManager":
        """Returns the running manager. Raises NotInstalled where the package is missing."""
        async with self._starting:
            if self._manager is None:
                manager = await asyncio.to_thread(self._load)
                started = asyncio.get_running_loop().create_future()
                self._task = asyncio.create_task(self._run(manager, started), name="mcp")
                await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
                if self._task.done():
                    self._task.result()  # it could not start
                self._manager = manager
            return self._manager

    def _load(self) -> "StreamableHTTPSessionManager":
        try:
            from app.mcp.server import session_manager
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("mcp"):
                raise
            message = "the package of the Model Context Protocol is not installed here"
            raise NotInstalled(f"{message}: pip install 'atelier-service[mcp]'") from None
        return session_manager(self._services, self._version)

    async def _run(
        self, manager: "StreamableHTTPSessionManager", started: "asyncio.Future[None]"
    ) -> None:
        async with manager.run():
            started.set_result(None)
            await asyncio.Event().wait()

    async def close(self) -> None:
        """Ends what is still being answered. The jobs go on."""
        if self._task is not None:
            await end_task(self._task)
            self._task = self._manager = None


class McpResponse(Response):
    """Hands a request to the protocol's own code; the answer names the job that it made."""

    def __init__(self, manager: "StreamableHTTPSessionManager", request: Request) -> None:
        super().__init__()
        self._manager = manager
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_job(message: Message) -> None:
            job_id = getattr(self._request.state, "job_id", None)
            if message["type"] == "http.response.start" and job_id is not None:
                MutableHeaders(scope=message)["x-job-id"] = job_id
            await send(message)

        await self._manager.handle_request(scope, receive, send_with_job)
