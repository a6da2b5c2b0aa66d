"""The client's wheel in a clean environment: what it brings, its types, and its notebooks."""

import json
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

from tests.atelier.client.test_service_schema import App, serving
from tests.distributions.environments import SCRIPT, new_environment, run, strict_mypy
from tests.packages import installed

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

HTTPX = {"anyio", "certifi", "h11", "httpcore", "httpx", "idna", "sniffio", "typing_extensions"}
"""httpx and what it needs."""
WRONG = f"""{SCRIPT}
    seconds: str = client.image().progress.value
    client.imagine("a hen")
"""
NOTEBOOK = """
from IPython.core.formatters import DisplayFormatter
from atelier import Client

with Client("{url}") as client:
    job = client.image().wait()
    show = DisplayFormatter().format
    picture, whole = show(job.outputs[0])[0], show(job)[0]
assert picture["image/png"].startswith(b"\\x89PNG") and "text/html" not in picture, picture
assert '<img src="data:image/png;base64,' in whole["text/html"], whole
"""


def end_at_once(app: App) -> None:
    """Each job is completed when it is made."""
    make = app.service.make

    def make_completed(body: dict[str, Any]) -> dict[str, Any]:
        return app.service.ended(make(body)["id"])

    app.service.make = make_completed  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The URL of a small service."""
    with serving() as (url, app):
        end_at_once(app)
        yield url


@pytest.fixture(scope="module")
def client(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the client alone."""
    python = new_environment(tmp_path_factory.mktemp("client"))
    run(python, "-m", "pip", "install", "--quiet", wheels["atelier-client"])
    return python


def test_it_is_small_and_needs_httpx_alone(wheels: dict[str, Path], client: Path) -> None:
    wheel = wheels["atelier-client"]
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        metadata = file.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert wheel.stat().st_size < 100_000
    assert Parser().parsestr(metadata).get_all("Requires-Dist") == ["httpx>=0.27"]
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"atelier"}
    assert "atelier/py.typed" in names
    listed = json.loads(run(client, "-m", "pip", "list", "--format", "json"))
    added = {package["name"] for package in listed} - {"pip", "setuptools"}
    assert "atelier-client" in added
    assert added - {"atelier-client"} <= HTTPX


def test_a_script_that_uses_it_passes_mypy_strict_and_runs(
    client: Path, service: str, tmp_path: Path
) -> None:
    script = SCRIPT.format(url=service)
    checked = strict_mypy(client, tmp_path, script)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    errors = strict_mypy(client, tmp_path, WRONG.format(url=service)).stdout
    assert "Incompatible types in assignment" in errors
    assert '"Client" has no attribute "imagine"' in errors
    run(client, "-c", script, cwd=tmp_path)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_notebook_shows_outputs_and_jobs(
    client: Path, service: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = installed("ipython", to=tmp_path_factory.mktemp("ipython"))
    run(client, "-c", NOTEBOOK.format(url=service), PYTHONPATH=str(folder))
