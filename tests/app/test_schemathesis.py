"""The API does what its document says, for requests that nobody thought of."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from app.core.settings import Settings
from tests.app.serving import Running, serving
from tests.app.working import Worker
from tests.conftest import save_vae
from tests.models.families import tiny_checkpoint

KEY = "a-key-of-this-test"
FAMILIES = ("latent_diffusion", "diffusion", "video_diffusion", "wavenet", "language")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
MCP_HOOKS = Path(__file__).with_name("schemathesis_checks.py")
ACCEPTED = [200, 201, 202, 204, 206, 302, 303, 304]
UNSAYABLE = [401, 403, 404, 409, 410, 413, 416, 429]
"""What a document can't promise: that a job or a file exists, and what the service has room for."""
CONFIG = f"""
hooks = "{HOOKS}"

[auth.openapi.key]
bearer = "{KEY}"

[checks.positive_data_acceptance]
expected-statuses = {ACCEPTED + UNSAYABLE}

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429]

[[operations]]
include-path-regex = "^/sdapi/v1/(options|txt2img|img2img|png-info)$"
checks.positive_data_acceptance.enabled = false  # what its model takes is not in the document
checks.negative_data_rejection.enabled = false  # as the web UI does, it takes any further field

[[operations]]
include-path-regex = "^/(artifacts|v1/images/(edits|variations))$"
checks.positive_data_acceptance.enabled = false  # no schema can say that bytes are a picture
"""
SIZE = {"width": 32, "height": 32}
SOUND = {"seconds": 1.0, "rate": 8000, "channels": 1}
TEXT = {"text": "A sea.", "finish_reason": "stop", "prompt_tokens": 3, "completion_tokens": 3}
FACTS: dict[str, dict[str, Any]] = {
    "image": {"role": "picture", "content_type": "image/png", **SIZE},
    "text-to-image": {"role": "picture", "content_type": "image/png", **SIZE},
    "audio": {"role": "audio", "content_type": "audio/wav", **SOUND},
    "video": {"role": "video", "content_type": "video/mp4", **SIZE, "frames": 16, "fps": 8.0},
    "embedding": {"role": "vectors", "content_type": "application/x-npy", "prompt_tokens": 3},
    "story": {"role": "text", "content_type": "text/plain; charset=utf-8", **TEXT},
}
"""What a job of each type has made."""


@pytest.fixture(scope="module")
def keyed(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with keys and a tiny model of every modality, whose worker ends every job."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "keys").write_text(f"tester {hashlib.sha256(KEY.encode()).hexdigest()} metrics\n")
    for family in FAMILIES:
        tiny_checkpoint(folder / "checkpoints", family)
    save_vae(folder / "checkpoints" / "plain.safetensors")
    settings = Settings(
        state=folder,
        redis_url=redis_server,
        checkpoints=folder / "checkpoints",
        keys_file=folder / "keys",
        **{
            "default_text_to_image_model": "tiny-latent_diffusion",
            "default_audio_model": "tiny-wavenet",
            "default_video_model": "tiny-video_diffusion",
            "default_story_model": "tiny-language",
            "default_embedding_model": "tiny-embedding",
        },
        sdapi=True,
        queue_limit=300,
        max_upload=200_000,
        max_body=100_000,
    )
    stop = threading.Event()
    with serving(settings) as running, redis.Redis.from_url(redis_server) as connection:
        connection.flushall()
        thread = threading.Thread(target=end_jobs, args=(redis_server, running, stop))
        thread.start()
        yield running
        stop.set()
        thread.join()


def end_jobs(redis_server: str, running: Running, stop: threading.Event) -> None:
    sha256 = running.services.store.backend.put(b"a file")
    with redis.Redis.from_url(redis_server, decode_responses=True) as connection:
        worker = Worker(connection)
        while not stop.wait(0.02):
            worker.lease()
            for job in worker.claim():
                facts = FACTS[str(connection.hget(f"rq:job:{job}", "type"))]
                worker.finish(job, output={"sha256": sha256, "bytes": 6, **facts})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_document_holds(keyed: Running, tmp_path: Path) -> None:
    """No 5xx, no status or body that the document lacks, no bad request accepted, no request
    refused that the document allows."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", f"{keyed.url}/openapi.json", "--generation-deterministic"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-time", "60", "--no-color"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout


HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-06-18",
}


def message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The schema of a message of the protocol."""
    fields: dict[str, Any] = {"jsonrpc": {"const": "2.0"}, "id": {"type": "integer"}}
    fields |= {"method": {"const": method}, "params": params}
    return {"type": "object", "properties": fields, "required": [*fields]}


def tool_calls(keyed: Running) -> list[dict[str, Any]]:
    """The schemas of calls of each tool, with the arguments that its own schema takes."""
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    answer = keyed.client.post("/mcp", json=listing, headers=HEADERS)
    tools = json.loads(answer.text.rpartition("data: ")[2])["result"]["tools"]
    calls = []
    for tool in tools:
        arguments = {**tool["inputSchema"]}
        arguments["properties"] = {**arguments["properties"]}
        if "wait_seconds" in arguments["properties"]:
            arguments["properties"]["wait_seconds"] = {"enum": [0, -1, "x"]}
        fields = {"name": {"const": tool["name"]}, "arguments": arguments}
        calls.append({"type": "object", "properties": fields, "required": [*fields]})
    return calls


@pytest.mark.slow
def test_the_tools_of_agents_never_break(keyed: Running, tmp_path: Path) -> None:
    """No 5xx, and no internal error of the protocol, for messages as its clients send them and for
    any other body."""
    uri = {"type": "object", "properties": {"uri": {"type": "string"}}, "required": ["uri"]}
    nothing: dict[str, Any] = {"type": "object"}
    messages = [message("tools/call", call) for call in tool_calls(keyed)]
    messages += [message("resources/read", uri), message("tools/list", nothing)]
    body = {"content": {"application/json": {"schema": {"anyOf": messages}}}, "required": True}
    operation = {"requestBody": body, "responses": {"default": {"description": "any"}}}
    document = {"openapi": "3.1.0", "info": {"title": "mcp", "version": "1"}}
    document |= {"paths": {"/mcp": {"post": operation}}}
    (tmp_path / "mcp.json").write_text(json.dumps(document))
    (tmp_path / "schemathesis.toml").write_text(f'hooks = "{MCP_HOOKS}"')
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", "mcp.json", "--url", keyed.url, "--generation-deterministic"]
    command += ["--phases", "coverage,fuzzing", "--max-time", "10"]
    command += ["--checks", "not_a_server_error,no_internal_error", "--no-color"]
    command += [x for name, value in HEADERS.items() for x in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
