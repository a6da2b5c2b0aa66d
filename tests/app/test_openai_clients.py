"""Two major versions of the openai package, over a worker."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.openai.images.request import ImageRequest
from app.openai.text.chat_request import ChatRequest
from app.openai.text.completion_request import CompletionRequest
from tests.app import stock_client
from tests.app.serving import Running
from tests.app.studio import PAINTER, a_studio, opened
from tests.packages import installed


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with a_studio(redis_server, tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder to import openai 2 from: OPENAI2_FOLDER, or one that is filled, if it can be."""
    if folder := os.environ.get("OPENAI2_FOLDER"):
        return folder
    packages = ("openai<3", "distro<2")  # the rest of what it needs is here already
    return str(installed(*packages, to=tmp_path_factory.mktemp("openai2"), dependencies=False))


def answers_of(
    major: str, stock: Any, url: str, model: str, request: pytest.FixtureRequest
) -> dict[str, Any]:
    """What a module of this folder got by the client of this version."""
    if major == "3":
        return dict(stock.tried(url, model))
    folder = request.getfixturevalue("second")
    process_output = subprocess.run(
        [sys.executable, "-P", str(Path(stock.__file__)), url, model],
        env=os.environ | {"PYTHONPATH": folder},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert process_output.returncode == 0, process_output.stderr
    return dict(json.loads(process_output.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("major", ["2", "3"])
def test_both_versions_of_the_client_are_served(
    studio: Running, major: str, request: pytest.FixtureRequest
) -> None:
    got = answers_of(major, stock_client, studio.url, PAINTER, request)
    assert got["version"].partition(".")[0] == major
    assert [opened(x).size for x in got["pictures"]] == [(32, 32)] * 2
    assert got["facts"] == ["32x32", "png", 0]
    assert httpx.get(got["url"]).content == base64.b64decode(got["pictures"][0])
    names = [name for name, _, _ in got["events"]]
    assert 2 <= len(names) <= 4
    assert set(names[:-1]) == {"ImageGenPartialImageEvent"}
    assert names[-1] == "ImageGenCompletedEvent"
    assert [list(x) for x in got["errors"]] == [
        ["NotFoundError", 404, "model_not_found", "model"],
        ["BadRequestError", 400, "invalid_parameter", "size"],
        ["UnprocessableEntityError", 422, "invalid_parameter", "steps"],
    ]


PAGE = (Path(__file__).parents[2] / "docs" / "openai.md").read_text()


def test_the_page_tells_of_every_field() -> None:
    for name in {
        **ImageRequest.model_fields,
        **ChatRequest.model_fields,
        **CompletionRequest.model_fields,
    }:
        assert f"`{name}`" in PAGE
