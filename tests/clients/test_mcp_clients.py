"""Stock clients of the Model Context Protocol use the tools, by HTTP and by stdio."""

import base64
import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.app.serving import Running
from tests.app.studio import PAINTER
from tests.clients.installing import node_client, node_output, python_client, python_output

COMMAND = str(Path(sys.executable).absolute().with_name("atelier"))
TOOLS = {"generate_image", "paint", "generate_video", "write"}
TOOLS |= {"job_status", "cancel", "list_models"}

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


def check(service: Running, result: dict[str, Any]) -> None:
    assert set(result["tools"]) >= TOOLS
    job = service.client.get(f"/jobs/{result['job']}").json()
    assert (job["status"], job["model"], job["seed"]) == ("completed", PAINTER, 7)
    sha256 = job["outputs"][0]["sha256"]
    _, picture, link = result["content"]
    assert link["uri"] == f"atelier://artifacts/{sha256}"
    for data in (picture["data"], result["resource"]):
        assert hashlib.sha256(base64.b64decode(data)).hexdigest() == sha256
    assert result["reports"] == sorted(result["reports"])
    assert (result["status"], result["error"]) == ("completed", "steps")


@pytest.fixture(scope="module", params=["1", "2"])
def mcp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official client, of each major version."""
    return python_client(tmp_path_factory.mktemp("mcp"), f"mcp=={request.param}.*")


@pytest.mark.parametrize("command", [(), (COMMAND,)], ids=["http", "stdio"])
def test_mcp(service: Running, mcp: Path, command: tuple[str, ...]) -> None:
    check(service, python_output(mcp, "mcp_client.py", service.url, *command))


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node_client(tmp_path_factory.mktemp("mcp_node"), "@modelcontextprotocol/sdk")


@pytest.mark.parametrize("command", [(), (COMMAND,)], ids=["http", "stdio"])
def test_mcp_for_node(service: Running, sdk: Path, command: tuple[str, ...]) -> None:
    check(service, node_output(sdk, "mcp_node.mjs", service.url, *command))
