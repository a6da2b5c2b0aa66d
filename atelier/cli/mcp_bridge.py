"""A server of the Model Context Protocol on stdio that asks a service whatever it is asked."""

from contextlib import AsyncExitStack
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

LARGEST_EVENT = 2**24
"""Bytes of one message of the service."""
PATIENCE = 45.0
"""Seconds of silence after which a connection is dead; the service sends a ping every 15."""

Context = ServerRequestContext[Any, Any]


class Unreachable(Exception):
    """There is no service at the address, or it refuses the key."""


async def serve_stdio(url: str, api_key: str | None) -> None:
    """Answers on stdio until it ends, with what the service at this address answers.

    Raises Unreachable.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx2.AsyncClient(headers=headers, timeout=PATIENCE)
        )
        await check_service(http, url)
        transport = streamable_http_client(
            f"{url.rstrip('/')}/mcp", http_client=http, max_sse_event_size=LARGEST_EVENT
        )
        service = await stack.enter_async_context(Client(transport, cache=None))
        incoming, outgoing = await stack.enter_async_context(stdio_server())
        server = bridge(service)
        await server.run(incoming, outgoing, server.create_initialization_options())


async def check_service(http: httpx2.AsyncClient, url: str) -> None:
    """Raises Unreachable where no service answers, or it refuses the key."""
    try:
        response = await http.get(f"{url.rstrip('/')}/models")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unreachable(str(error) or type(error).__name__) from None
    if response.is_error:
        try:
            message = response.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = f"it answers {response.status_code}"
        raise Unreachable(message)


def bridge(service: Client) -> Server[Any]:
    """Returns a server of the same tools and resources as the service's."""

    async def list_tools(_: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return await service.list_tools()

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        report = context.session.report_progress
        return await service.call_tool(params.name, params.arguments, progress_callback=report)

    async def list_resources(
        _: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return await service.list_resources()

    async def list_templates(
        _: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return await service.list_resource_templates()

    async def read_resource(_: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await service.read_resource(params.uri)

    about = service.server_info
    return Server(
        about.name if about else "atelier",
        version=about.version if about else "",
        title=about.title if about else None,
        instructions=service.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )
