"""/mcp and keys: a caller is the owner of the request's key."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from app.core.errors import NotInstalled
from app.core.settings import Settings
from app.mcp import endpoint
from tests.app.serving import Running, eventually, serving
from tests.app.test_artifacts import PNG, store
from tests.app.test_generate import error_of
from tests.conftest import MODEL

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
CALL = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "generate_image", "arguments": {"model": MODEL, "seed": 5}},
}
HEADERS = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def keyed(settings: Settings, tmp_path: Path) -> Iterator[Running]:
    file = tmp_path / "keys"
    lines = [f"{n} {hashlib.sha256(f'{n}-key'.encode()).hexdigest()}" for n in ("ann", "bob")]
    file.write_text("\n".join(lines))
    with serving(settings.model_copy(update={"keys_file": file})) as running:
        yield running


def as_key(url: str, key: str, ask: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            return await ask(client)

    return asyncio.run(run())


def test_a_key_is_needed(keyed: Running) -> None:
    for headers in ({}, {"Authorization": "Bearer nope"}):
        answer = keyed.client.post("/mcp", json=INITIALIZE, headers=HEADERS | headers)
        assert answer.status_code == 401
        assert error_of(answer)["code"] == "invalid_api_key"


def test_another_key_sees_nothing(keyed: Running) -> None:
    async def make(client: Client) -> str:
        arguments = {"model": MODEL, "wait_seconds": 0}
        result = await client.call_tool("generate_image", arguments)
        return str(result.structured_content["id"])

    job_id = as_key(keyed.url, "ann-key", make)
    with keyed.as_key("ann-key") as ann:
        assert ann.get(f"/jobs/{job_id}").status_code == 200
        sha256 = store(ann, PNG)

    async def look(client: Client) -> None:
        for tool in ("job_status", "cancel"):
            result = await client.call_tool(tool, {"job_id": job_id})
            assert result.structured_content["error"]["code"] == "job_not_found"
        assert not (await client.call_tool("job_status", {})).structured_content["jobs"]
        with pytest.raises(MCPError, match="no such artifact"):
            await client.read_resource(f"atelier://artifacts/{sha256}")

    as_key(keyed.url, "bob-key", look)

    async def read(client: Client) -> Any:
        return (await client.read_resource(f"atelier://artifacts/{sha256}")).contents[0]

    assert as_key(keyed.url, "ann-key", read).mime_type == "image/png"


def test_a_job_goes_on_when_its_caller_leaves(running: Running) -> None:
    with running.client.stream("POST", "/mcp", json=CALL, headers=HEADERS):
        assert eventually(lambda: running.client.get("/jobs").json()["data"])
    (job,) = running.client.get("/jobs").json()["data"]
    assert job["seed"] == 5
    # another call is answered, and the job that was left is as it was
    answer = running.client.post("/mcp", json=INITIALIZE, headers=HEADERS)
    assert answer.status_code == 200
    assert running.client.get(f"/jobs/{job['id']}").json()["status"] == "queued"


def test_a_missing_package_is_named(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(self: object) -> None:
        raise NotInstalled("pip install 'atelier-service[mcp]'")

    monkeypatch.setattr(endpoint.McpEndpoint, "_load", absent)
    with serving(running.services.settings) as fresh:
        answer = fresh.client.post("/mcp", json=INITIALIZE, headers=HEADERS)
    assert (answer.status_code, error_of(answer)["code"]) == (501, "not_installed")


def test_a_page_of_another_site_is_refused(running: Running) -> None:
    headers = HEADERS | {"Origin": "https://elsewhere.example"}
    answer = running.client.post("/mcp", json=INITIALIZE, headers=headers)
    assert error_of(answer)["code"] == "origin_not_allowed"


def test_a_body_that_is_too_large_is_refused(running: Running) -> None:
    body = {**CALL, "params": {"name": "generate_image", "arguments": {"x": "y" * 200_000}}}
    assert running.client.post("/mcp", json=body, headers=HEADERS).status_code == 413


def test_a_manager_that_can_not_start_fails_each_request(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        @asynccontextmanager
        async def run(self) -> AsyncIterator[None]:
            raise RuntimeError("it can't start")
            yield

    monkeypatch.setattr(endpoint.McpEndpoint, "_load", lambda self: Broken())
    with serving(running.services.settings) as fresh:
        for _ in range(2):
            answer = fresh.client.post("/mcp", json=INITIALIZE, headers=HEADERS)
            assert (answer.status_code, error_of(answer)["code"]) == (500, "internal_error")
