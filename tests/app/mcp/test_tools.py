"""The tools of /mcp, by the protocol's own client."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ImageContent, ResourceLink, TextContent

from app.mcp.tools import LONGEST_WAIT
from tests.app.serving import Running
from tests.app.studio import PAINTER, a_studio


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with a_studio(redis_server, tmp_path_factory.mktemp("studio")) as running:
        yield running


PAINT = {"model": PAINTER, "prompt": "a red apple", "seed": 7, "steps": 6}
Ask = Callable[[Client], Awaitable[Any]]


def asking(url: str, ask: Ask, mode: str = "auto") -> Any:
    async def run() -> Any:
        async with Client(f"{url}/mcp", mode=mode) as client:
            return await ask(client)

    return asyncio.run(run())


def called(url: str, tool: str, mode: str = "auto", **arguments: Any) -> CallToolResult:
    result: CallToolResult = asking(url, lambda c: c.call_tool(tool, arguments), mode)
    return result


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_call_makes_a_picture(studio: Running, mode: str) -> None:
    result = called(studio.url, "paint", mode, **PAINT, wait_seconds=60)
    assert not result.is_error
    said, picture, link = result.content
    assert isinstance(said, TextContent)
    assert isinstance(picture, ImageContent)
    assert isinstance(link, ResourceLink)
    job = studio.client.get(f"/jobs/{result.structured_content['id']}").json()
    assert job["status"] == "completed"
    assert said.text.startswith(f"{job['id']} is completed: {PAINTER}, seed 7.")
    data = base64.b64decode(picture.data)
    sha256 = job["outputs"][0]["sha256"]
    assert hashlib.sha256(data).hexdigest() == sha256
    assert str(link.uri) == f"atelier://artifacts/{sha256}"
    assert httpx.get(result.structured_content["outputs"][0]["url"]).content == data


def test_a_call_has_the_bytes_of_the_same_request_to_the_route(studio: Running) -> None:
    body = {**PAINT, "seed": 8}
    result = called(studio.url, "paint", **body, wait_seconds=60)
    job = studio.client.post(
        "/generate/text-to-image", json=body, headers={"Prefer": "wait=60"}
    ).json()
    assert job["outputs"][0]["sha256"] == result.structured_content["outputs"][0]["sha256"]


def test_a_link_is_read(studio: Running) -> None:
    async def ask(client: Client) -> tuple[str, str]:
        result = await client.call_tool("paint", {**PAINT, "wait_seconds": 60})
        link = next(x for x in result.content if isinstance(x, ResourceLink))
        contents = (await client.read_resource(str(link.uri))).contents[0]
        return str(link.uri), contents.blob  # type: ignore[union-attr]

    uri, blob = asking(studio.url, ask)
    assert hashlib.sha256(base64.b64decode(blob)).hexdigest() == uri.rpartition("/")[2]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_steps_are_reported_with_the_id_of_the_job(studio: Running, mode: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async def ask(client: Client) -> CallToolResult:
        arguments = {**PAINT, "seed": 9, "n": 2, "wait_seconds": 60}
        return await client.call_tool("paint", arguments, progress_callback=report)

    result = asking(studio.url, ask, mode)
    assert seen
    assert [x for x, _, _ in seen] == sorted({x for x, _, _ in seen})
    assert all(str(message).startswith(result.structured_content["id"]) for _, _, message in seen)


def test_a_job_that_is_not_waited_for_is_found_by_its_id(studio: Running) -> None:
    result = called(studio.url, "paint", **PAINT, wait_seconds=0)
    job_id = result.structured_content["id"]
    assert not result.is_error
    assert job_id in result.content[0].text  # type: ignore[union-attr]
    later = called(studio.url, "job_status", job_id=job_id, wait_seconds=60)
    assert later.structured_content["status"] == "completed"
    assert any(isinstance(x, ImageContent) for x in later.content)
    listed = called(studio.url, "job_status")
    assert job_id in [job["id"] for job in listed.structured_content["jobs"]]


def test_a_key_repeats_no_job_also_by_the_route(studio: Running) -> None:
    key = {"idempotency_key": "once"}
    first, second = (called(studio.url, "paint", **PAINT, **key, wait_seconds=60) for _ in range(2))
    assert first.structured_content["id"] == second.structured_content["id"]
    headers = {"Idempotency-Key": "once"}
    third = studio.client.post("/generate/text-to-image", json=PAINT, headers=headers)
    assert third.json()["id"] == first.structured_content["id"]
    other = called(studio.url, "paint", **{**PAINT, "seed": 1}, **key)
    assert other.structured_content["error"]["code"] == "idempotency_key_reuse"


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("paint", {"prompt": "a dog", "steps": 0}, "steps", "steps must be between"),
    ("paint", {"prompt": "a dog", "colour": 1}, "colour", "colour is not a parameter here"),
    ("paint", {}, "prompt", "prompt is required"),
    ("paint", {"model": "none"}, "model", "none"),
    ("paint", {"model": 7}, "model", "model must be a string"),
    ("paint", {**PAINT, "wait_seconds": -1}, "wait_seconds", f"between 0 and {LONGEST_WAIT}"),
    ("paint", {**PAINT, "wait_seconds": True}, "wait_seconds", "must be a number"),
    ("paint", {**PAINT, "idempotency_key": ""}, "idempotency_key", "between 1 and 255"),
    ("job_status", {"job_id": "job_none"}, "", "no such job"),
    ("job_status", {"job_id": 3}, "job_id", "must be a string"),
    ("job_status", {"job": "x"}, "job", "known parameters: job_id, wait_seconds"),
    ("cancel", {}, "job_id", "job_id is required"),
    ("list_models", {"modality": "smell"}, "modality", "modality must be one of image"),
]


@pytest.mark.parametrize(("tool", "arguments", "param", "message"), REFUSED)
def test_an_error_is_a_result_in_the_one_shape(
    studio: Running, tool: str, arguments: dict[str, Any], param: str, message: str
) -> None:
    async def ask(client: Client) -> CallToolResult:
        return await client.call_tool(
            tool, {"model": PAINTER, **arguments} if tool == "paint" else arguments
        )

    result = asking(studio.url, ask)
    assert result.is_error
    error = result.structured_content["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["param"] or "") == param
    assert message in error["message"] == result.content[0].text  # type: ignore[union-attr]


def test_no_such_tool_and_no_such_resource_are_errors_of_the_protocol(studio: Running) -> None:
    async def ask(client: Client) -> None:
        with pytest.raises(MCPError, match="there is no tool dance"):
            await client.call_tool("dance", {})
        for uri, message in (
            ("atelier://artifacts/" + "0" * 64, "no such artifact"),
            ("file:///etc/passwd", "uri must begin with"),
        ):
            with pytest.raises(MCPError, match=message):
                await client.read_resource(uri)

    asking(studio.url, ask)


def test_a_job_is_canceled(studio: Running) -> None:
    job = studio.client.post("/generate/text-to-image", json={**PAINT, "steps": 50, "n": 8}).json()
    result = called(studio.url, "cancel", job_id=job["id"])
    assert not result.is_error
    assert result.structured_content["status"] in ("canceled", "canceling", "completed")


def test_the_schema_of_a_tool_takes_what_the_models_take(studio: Running) -> None:
    tools = {tool.name: tool for tool in asking(studio.url, lambda c: c.list_tools()).tools}
    assert {"paint", "job_status", "cancel", "list_models"} <= set(tools)
    schema = tools["paint"].input_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({**PAINT, "wait_seconds": 5, "idempotency_key": "k"})
    for wrong in ({}, {**PAINT, "steps": 0}, {**PAINT, "model": "none"}, {**PAINT, "colour": 1}):
        assert not validator.is_valid(wrong), wrong
    assert schema["required"] == ["prompt"]
    assert not {"anyOf", "oneOf", "allOf", "$ref"} & set(schema)
    assert "$ref" not in str(schema)


def test_the_models_are_listed(studio: Running) -> None:
    models = called(studio.url, "list_models", modality="text-to-image").structured_content
    assert PAINTER in [model["id"] for model in models["models"]]


def test_only_messages_are_posted(studio: Running) -> None:
    for method in ("GET", "DELETE"):
        response = studio.client.request(method, "/mcp", headers={"Accept": "text/event-stream"})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    wrong = studio.client.post("/mcp", content=b"{", headers={"Content-Type": "application/json"})
    assert 400 <= wrong.status_code < 500


def test_an_answer_names_the_job_in_its_header(studio: Running) -> None:
    job_ids = []

    async def note(response: Any) -> None:
        job_ids.append(response.headers.get("x-job-id"))

    async def run() -> CallToolResult:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async with httpx2.AsyncClient(event_hooks={"response": [note]}) as http:
            transport = streamable_http_client(f"{studio.url}/mcp", http_client=http)
            async with Client(transport) as client:
                return await client.call_tool("paint", {**PAINT, "wait_seconds": 0})

    result = asyncio.run(run())
    assert result.structured_content["id"] in job_ids
