"""`atelier mcp`: a stock client of the protocol that starts it and talks over stdio."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, ImageContent

from tests.app.studio import PAINTER, a_studio
from tests.atelier.commands import atelier, environment_with, refused


def test_the_tools_of_a_service_on_stdio(redis_server: str, tmp_path: Path) -> None:
    seen: list[float] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async def ask(url: str) -> tuple[list[str], CallToolResult, str]:
        command = StdioServerParameters(
            command=sys.executable,
            args=["-m", "atelier", "mcp", "--url", url],
            env=environment_with({}),
        )
        async with Client(command) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            arguments = {"model": PAINTER, "prompt": "a dog", "seed": 3, "steps": 6}
            result = await client.call_tool(
                "paint", {**arguments, "wait_seconds": 60}, progress_callback=report
            )
            uri = f"atelier://artifacts/{result.structured_content['outputs'][0]['sha256']}"
            contents = (await client.read_resource(uri)).contents[0]
        return names, result, str(contents.mime_type)

    with a_studio(redis_server, tmp_path) as studio:
        names, result, kind = asyncio.run(ask(studio.url))
        job = studio.client.get(f"/jobs/{result.structured_content['id']}").json()
    assert {"paint", "generate_image", "job_status"} <= set(names)
    assert any(isinstance(block, ImageContent) for block in result.content)
    assert job["status"] == "completed"
    assert seen == sorted(set(seen))
    assert kind == "image/png"


def test_without_a_service_it_ends_with_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    assert refused(atelier("mcp", "--url", url)).startswith(f"{url} can't be used: ")


@pytest.mark.parametrize("url", ["nonsense", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    assert refused(atelier("mcp", "--url", url)).startswith(f"{url} can't be used: ")
