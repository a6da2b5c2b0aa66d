"""What the official client of the Model Context Protocol does with a service.

`mcp_client.py URL` by HTTP, and `mcp_client.py URL COMMAND` with a command that serves stdio. The
clients of 1.x and of 2.x have other names for the same.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

ARGUMENTS = {"prompt": "a red apple", "seed": 7, "wait_seconds": 60}


async def session_of(stack: AsyncExitStack, url: str, command: str | None) -> Any:
    if version("mcp") >= "2":
        from mcp import Client

        server = stdio_client(parameters(url, command)) if command else f"{url}/mcp"
        return await stack.enter_async_context(Client(server))
    if command:
        transport = stdio_client(parameters(url, command))
    else:
        from mcp.client.streamable_http import streamable_http_client

        transport = streamable_http_client(f"{url}/mcp")
    reader, writer, *_ = await stack.enter_async_context(transport)
    session = await stack.enter_async_context(ClientSession(reader, writer))
    await session.initialize()
    return session


def parameters(url: str, command: str) -> StdioServerParameters:
    return StdioServerParameters(command=command, args=["mcp"], env={"ATELIER_URL": url})


async def main(url: str, command: str | None = None) -> dict[str, Any]:
    reports: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reports.append(progress)

    async with AsyncExitStack() as stack:
        session = await session_of(stack, url, command)
        tools = await session.list_tools()
        result = await session.call_tool("paint", ARGUMENTS, progress_callback=on_progress)
        dumped = result.model_dump(mode="json", by_alias=True)
        link = next(x for x in dumped["content"] if x["type"] == "resource_link")
        resource = await session.read_resource(link["uri"])
        job_id = dumped["structuredContent"]["id"]
        status = await session.call_tool("job_status", {"job_id": job_id})
        refused = await session.call_tool("paint", {**ARGUMENTS, "steps": 0})
    return {
        "version": version("mcp"),
        "tools": [tool.name for tool in tools.tools],
        "content": dumped["content"],
        "reports": reports,
        "resource": resource.model_dump(mode="json", by_alias=True)["contents"][0]["blob"],
        "job": job_id,
        "status": status.model_dump(by_alias=True)["structuredContent"]["status"],
        "error": refused.model_dump(by_alias=True)["structuredContent"]["error"]["param"],
    }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
