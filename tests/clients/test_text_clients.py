"""Stock clients get answers in JSON, calls of tools and vectors from the packaged models.

The clients check what they get against schemas of theirs, so the models are real ones.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atelier.service.packaged_models import PACKAGED
from tests.clients.installing import node_client, node_output, python_client, python_output
from tests.e2e.conftest import Stack, running

WRITER, EMBEDDER = "smollm2-135m", "all-minilm-l6-v2"
ALIASES = f"gpt-4o={WRITER},text-embedding-3-small={EMBEDDER}"
PACKAGES = {
    "langchain": ("langchain-openai",),
    "llama_index": ("llama-index-llms-openai-like", "llama-index-embeddings-openai-like"),
    "instructor": ("instructor",),
    "pydantic_ai": ("pydantic-ai-slim[openai]",),
    "openai_agents": ("openai-agents",),
    "litellm": ("litellm",),
    "anthropic": ("anthropic",),
}

pytestmark = [
    pytest.mark.clients,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        any(model.path() is None for model in PACKAGED), reason="packaged models are not installed"
    ),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A service with the packaged models, under the names of OpenAI's."""
    packaged = {"ATELIER_PACKAGED_MODELS": "true", "ATELIER_ALIASES": ALIASES}
    with running(patience=500, **packaged) as service:
        service.load(WRITER, EMBEDDER)
        yield service


def check_animals(animals: dict[str, dict[str, Any]], *ways: str) -> None:
    assert {*ways} <= animals.keys()
    for animal in animals.values():
        assert animal.keys() == {"name", "legs"}
        assert animal["name"] in ("hen", "whale")
        assert 0 <= animal["legs"] <= 8


@pytest.fixture
def output(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path) -> Any:
    """What the script of a client printed."""
    folder = python_client(tmp_path, *PACKAGES[request.param])
    return python_output(folder, f"{request.param}_text.py", stack.url)


@pytest.mark.parametrize("output", ["langchain"], indirect=True)
def test_langchain(output: dict[str, Any]) -> None:
    check_animals(output["animals"], "json_schema", "function_calling", "json_schema, responses")
    assert output["result"] == f"sun in {output['city']}"
    assert output["same"]
    assert output["tokens"] > 0
    assert output["vectors"] == [384, 384]


@pytest.mark.parametrize("output", ["llama_index"], indirect=True)
def test_llama_index(output: dict[str, Any]) -> None:
    check_animals(output["animals"], "tools", "json_schema")
    assert output["result"] == f"sun in {output['city']}"
    assert output["same"]
    assert output["vectors"] == [384, 384]


@pytest.mark.parametrize("output", ["instructor"], indirect=True)
def test_instructor(output: dict[str, Any]) -> None:
    animals = output["animals"]
    assert {"TOOLS", "JSON", "JSON_SCHEMA", "MD_JSON", "RESPONSES_TOOLS"} < {*output["modes"]}
    for mode in {*output["modes"]} - {"PARALLEL_TOOLS"}:
        check_animals(animals, f"{mode}, hen", f"{mode}, whale", f"{mode}, streamed")
    for mode in ("JSON", "MD_JSON"):  # with examples, which the model follows
        assert animals[f"{mode}, hen"] == {"name": "hen", "legs": 2}
        assert animals[f"{mode}, whale"] == {"name": "whale", "legs": 0}
        assert animals[f"{mode}, streamed"] == animals[f"{mode}, whale"]
    assert "PARALLEL_TOOLS" in output["modes"]
    assert output["calls"] == [["Weather", "Ulm"], ["Clock", "Ulm"]]


@pytest.mark.parametrize("output", ["pydantic_ai"], indirect=True)
def test_pydantic_ai(output: dict[str, Any]) -> None:
    animals = output["animals"]
    check_animals(animals, "tool", "native")
    assert animals["tool"] == animals["tool, streamed"]
    assert animals["native"] == animals["native, streamed"]
    assert output["result"] in ("sun in Ulm", "sun in Bonn")
    assert output["text"]


@pytest.mark.parametrize("output", ["openai_agents"], indirect=True)
def test_openai_agents(output: dict[str, Any]) -> None:
    assert output.keys() == {"OpenAIChatCompletionsModel", "OpenAIResponsesModel"}
    for outcome in output.values():
        check_animals({"output_type": outcome["animal"]})
        assert outcome["result"] == outcome["streamed"]
        assert outcome["result"] in ("sun in Ulm", "sun in Bonn")
        assert "run_item_stream_event" in outcome["events"]
        assert outcome["items"][:2] == ["ToolCallItem", "ToolCallOutputItem"]


@pytest.mark.parametrize("output", ["litellm"], indirect=True)
def test_litellm(output: dict[str, Any]) -> None:
    check_animals(output["animals"], "response_format")
    assert output["city"] in ("Ulm", "Bonn")
    assert output["same"]
    assert output["block"][:2] == ["tool_use", "weather"]
    assert output["block"][2] in ("Ulm", "Bonn")
    assert output["finish"] in ("stop", "length", "tool_calls")
    assert output["vectors"] == [384, 384]


@pytest.mark.parametrize("output", ["anthropic"], indirect=True)
def test_anthropic(output: dict[str, Any]) -> None:
    assert output["text"]
    assert output["same"]
    assert output["stop"][0] == output["stop"][1]
    assert output["stop"][0] in ("end_turn", "max_tokens")
    assert output["usage"][0] == output["usage"][1]
    check_animals(output["animals"], "parse")
    tools = output["tools"]
    kind, name, city, reason = tools["block"]
    assert (kind, name, reason) == ("tool_use", "weather", "tool_use")
    assert city in ("Ulm", "Bonn")
    assert tools["same"]
    assert tools["following"] in ("end_turn", "max_tokens", "tool_use")
    assert output["refusal"]["type"] == "invalid_request_error"
    assert output["refusal"]["param"] == "temperature"


def test_ai_sdk(stack: Stack, tmp_path: Path) -> None:
    folder = node_client(tmp_path, "ai", "@ai-sdk/openai", "zod")
    output = node_output(folder, "ai_sdk_text.mjs", stack.url)
    check_animals(output["animals"], "generateObject", "streamObject", "response", "responseStream")
    assert output["parts"] > 1
    assert output["responseCity"] in ("Ulm", "Bonn")
    assert output["result"] == f"sun in {output['city']}"
    assert output["same"]
    assert output["vectors"] == [384, 384]
