"""Each stock client does what its documentation shows, with nothing but another base URL."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import ImageChops, ImageStat

from tests.app.serving import Running, eventually
from tests.app.studio import PAINTER, opened
from tests.clients.installing import node_client, node_output, python_client, python_output
from tests.processes import running_process

PROXY_KEY = "sk-of-the-proxy"

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def check_openai(service: Running, result: dict[str, Any]) -> None:
    """What the openai package got, in either language."""
    assert {PAINTER, "dall-e-3", "gpt-4o"} <= set(result["models"])
    assert opened(result["picture"]).size == (1024, 1024)
    assert opened(result["edited"]).size == (512, 512)
    assert opened(result["varied"]).size == (256, 256)
    assert result["events"][-1] == "image_generation.completed"
    assert set(result["events"][:-1]) <= {"image_generation.partial_image"}
    assert result["chat"][0] == "gpt-4o"
    assert result["chat"][1] > 0
    assert result["same"]
    assert result["video"] in (None, ["completed", "ftyp"])
    job = service.client.get(f"/jobs/{result['job']}").json()
    assert (job["status"], job["model"]) == ("completed", PAINTER)


@pytest.mark.parametrize("major", ["1", "2", "3"])
def test_openai(service: Running, major: str, tmp_path: Path) -> None:
    folder = python_client(tmp_path, f"openai=={major}.*")
    result = python_output(folder, "openai_sdk.py", service.url)
    assert result["version"].partition(".")[0] == major
    check_openai(service, result)


def test_openai_for_node(service: Running, tmp_path: Path) -> None:
    folder = node_client(tmp_path, "openai")
    check_openai(service, node_output(folder, "openai_node.mjs", service.url))


def test_ai_sdk(service: Running, tmp_path: Path) -> None:
    folder = node_client(tmp_path, "ai", "@ai-sdk/openai")
    result = node_output(folder, "ai_sdk.mjs", service.url)
    assert opened(result["picture"]).size == (1024, 1024)
    assert opened(result["edited"]).size == (1024, 1024)
    assert result["same"]


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return python_client(tmp_path_factory.mktemp("litellm"), "litellm[proxy]")


def test_litellm(service: Running, litellm: Path) -> None:
    result = python_output(litellm, "litellm_sdk.py", f"{service.url}/v1", "none")
    assert opened(result["picture"]).size == (1024, 1024)
    assert result["same"]


@pytest.fixture
def proxy(service: Running, litellm: Path, tmp_path: Path) -> Iterator[str]:
    """A proxy of litellm before the service."""
    models = [("dall-e-3", "image_generation"), ("gpt-4o", "chat")]
    lines = ["model_list:"]
    for name, mode in models:
        lines += [
            f"  - model_name: {name}",
            f"    litellm_params: {{model: openai/{name}, api_base: {service.url}/v1, api_key: x}}",
            f"    model_info: {{mode: {mode}}}",
        ]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    port = free_port()
    code = "from litellm.proxy.proxy_cli import run_server; run_server()"
    options = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-S", "-P", "-c", code, *options]
    environment = {
        "HOME": str(tmp_path),
        "LITELLM_MASTER_KEY": PROXY_KEY,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(litellm),
    }
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"

    def is_ready() -> bool:
        try:
            return httpx.get(f"{url}/health/liveliness").is_success
        except httpx.HTTPError:
            return False

    with (
        log.open("wb") as out,
        running_process(command, env=environment, cwd=tmp_path, stdout=out, stderr=out),
    ):
        assert eventually(is_ready, 240), log.read_text()[-3000:]
        yield url


def test_litellm_proxy(proxy: str, litellm: Path) -> None:
    result = python_output(litellm, "litellm_sdk.py", proxy, PROXY_KEY)
    assert opened(result["picture"]).size == (1024, 1024)
    assert result["same"]


def test_webuiapi(service: Running, tmp_path: Path) -> None:
    folder = python_client(tmp_path, "webuiapi", "requests")
    address = urlsplit(service.url)
    result = python_output(folder, "webui_api.py", str(address.hostname), str(address.port))
    painted, repainted = opened(result["picture"]), opened(result["repainted"])
    assert painted.size == (512, 512)
    assert (result["seed"], result["progress"], result["loras"]) == (7, 0, [])
    difference = ImageChops.difference(painted.convert("L"), repainted.convert("L"))
    changed, kept = (
        ImageStat.Stat(difference.crop(box)).mean[0]
        for box in ((0, 0, 240, 512), (272, 0, 512, 512))
    )
    assert kept < changed
    assert PAINTER in result["models"]
    assert result["options"] == PAINTER
    assert "DPM++ 2M" in result["samplers"]
