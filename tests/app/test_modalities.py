"""A further modality is one row of a table: its route, jobs, document, SDK and command follow."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mcp import Client as Agent

from atelier import Client
from models.checkpoint.header import Header
from models.checkpoint.weights import save
from models.families import FAMILIES
from models.modalities import MODALITIES
from tests.app import riddles
from tests.app.serving import Running
from tests.app.studio import a_studio
from tests.atelier.commands import atelier


@pytest.fixture(scope="module")
def running(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("riddles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODALITIES, "riddle", riddles.ROW)
        patch.setitem(FAMILIES, "riddle", riddles.FAMILY)
        header = Header(family="riddle", net={}, title="Sphinx")
        save(folder / "checkpoints" / "sphinx.safetensors", header, {"weight": torch.ones(1)})
        with a_studio(redis_server, folder, ()) as studio:
            yield studio


def test_its_route_makes_jobs(running: Running) -> None:
    body = {"legs": 3, "seed": 7}
    answer = running.client.post("/generate/riddle", json=body, headers={"Prefer": "wait=20"})
    job = answer.json()
    assert (answer.status_code, job["status"], job["type"]) == (200, "completed", "riddle")
    (output,) = job["outputs"]
    assert output["role"] == "text"
    assert output["text"].startswith("What has 3 legs and ")
    listed = running.client.get("/jobs", params={"type": "riddle"}).json()["data"]
    assert [x["id"] for x in listed] == [job["id"]]


def test_its_requests_are_validated(running: Running) -> None:
    answer = running.client.post("/generate/riddle", json={"legs": 10})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "legs")


def test_its_model_has_a_card(running: Running) -> None:
    assert running.client.get("/models/sphinx").json()["modality"] == "riddle"


def test_the_document_describes_it(running: Running) -> None:
    document = running.client.get("/openapi.json").json()
    operation = document["paths"]["/generate/riddle"]["post"]
    assert (operation["operationId"], operation["summary"]) == ("generate_riddle", "Ask riddles")
    assert "legs" in document["components"]["schemas"]["sphinx"]["properties"]
    assert operation["responses"]["202"]["content"]["application/json"]["example"]["type"] == (
        "riddle"
    )


def test_agents_have_a_tool_for_it(running: Running) -> None:
    async def ask() -> tuple[list[str], str]:
        async with Agent(f"{running.url}/mcp") as agent:
            names = [tool.name for tool in (await agent.list_tools()).tools]
            result = await agent.call_tool("generate_riddle", {"legs": 3, "seed": 7})
            return names, result.structured_content["outputs"][0]["text"]

    names, text = asyncio.run(ask())
    assert "generate_riddle" in names
    assert text.startswith("What has 3 legs and ")


def test_the_client_and_the_command_generate_it(running: Running, tmp_path: Path) -> None:
    with Client(running.url) as client:
        job = client.generate("riddle", legs=3, seed=7).wait(20)
    assert job.outputs[0].text.startswith("What has 3 legs and ")
    options = ("--param", "legs=3", "--seed", "7", "--out", tmp_path)
    said = atelier("generate", "riddle", *options, ATELIER_URL=running.url)
    assert said.out == f"{tmp_path / 'sphinx-7.txt'}\n", said.err
    assert (tmp_path / "sphinx-7.txt").read_text().strip() == job.outputs[0].text
    assert riddles.ROW.summary in atelier("generate", "riddle", "--help").out
