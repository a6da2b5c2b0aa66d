"""The protocol's server, by its official package: it knows no transport of its own.

Each HTTP request stands alone, in every version of the protocol, so that any API process can
answer it. The request says who calls.
"""

import json
from typing import Any

import redis
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplate,
)
from starlette.requests import Request

from app.core.errors import AtelierError
from app.core.schemas import ErrorBody
from app.core.store import StoreError
from app.http.exception_handlers import on_redis, on_store
from app.mcp.results import SCHEME, error_result
from app.mcp.tool_calls import Caller, call
from app.mcp.tools import tools_of
from app.services import Services

INSTRUCTIONS = """Makes pictures, videos, music and texts by generative models. A call that makes
something becomes a job. Its result has the job's id, its seed and links to its files. The same
arguments with that seed make the same bytes. A job that takes longer than wait_seconds goes on;
job_status returns its results."""

Context = ServerRequestContext[Any, Request]


def session_manager(services: Services, version: str) -> StreamableHTTPSessionManager:
    """Returns what answers the protocol's HTTP requests. `run()` it once, before the first."""
    settings = services.settings
    return StreamableHTTPSessionManager(
        protocol_server(services, version),
        stateless=True,
        max_request_body_size=settings.max_body,
    )


def protocol_server(services: Services, version: str) -> Server[Any]:
    """Returns a server whose tools act for the owner that a request was let in as."""

    async def list_tools(
        context: Context, params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        await services.catalog.refresh()
        return ListToolsResult(tools=tools_of(services.catalog, services.settings))

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        caller = caller_of(services, context)
        try:
            result = await call(caller, params.name, params.arguments or {})
        except (AtelierError, redis.RedisError, StoreError) as error:
            return error_result(await error_body(caller.request, error))
        if result is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:100]}")
        return result

    async def list_resources(
        context: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return ListResourcesResult(resources=[])

    async def list_resource_templates(
        context: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        template = ResourceTemplate(
            name="artifact",
            uri_template=f"{SCHEME}{{sha256}}",
            description="A file that a job made or that was posted, by the SHA-256 of its bytes.",
        )
        return ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        context: Context, params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        caller = caller_of(services, context)
        try:
            return await caller.read(str(params.uri))
        except (AtelierError, redis.RedisError, StoreError) as error:
            body = await error_body(caller.request, error)
            raise MCPError(INVALID_PARAMS, body.error.message, body.model_dump()) from None

    return Server(
        "atelier",
        version=version,
        title="Atelier",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_resource_templates,
        on_read_resource=read_resource,
    )


def caller_of(services: Services, context: Context) -> Caller:
    """Returns who calls: the owner that the route found by the request's key."""
    request = context.request
    if request is None:
        raise RuntimeError("a call without its HTTP request")
    return Caller(services, request, request.state.owner, context.session.report_progress)


async def error_body(request: Request, error: Exception) -> ErrorBody:
    """Returns an error in the one shape of all routes. A script's own error is raised again."""
    if isinstance(error, AtelierError):
        return error.body
    handler = on_store if isinstance(error, StoreError) else on_redis
    response = await handler(request, error)
    return ErrorBody.model_validate(json.loads(bytes(response.body)))
