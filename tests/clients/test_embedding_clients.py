"""Each stock client gets vectors with nothing but another base URL and an alias."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.app.serving import Running
from tests.app.studio import a_studio
from tests.clients.installing import python_client, python_output

MODEL = "tiny-embedding"
TEXTS = ["the hen", "an ant, and the sea"]
PACKAGES = {
    "openai": "openai",
    "langchain": "langchain-openai",
    "llama-index": "llama-index-embeddings-openai",
    "litellm": "litellm",
}

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def encoding(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("encoding")
    settings = {"aliases": f"text-embedding-3-small={MODEL}", "default_embedding_model": MODEL}
    with a_studio(redis_server, folder, ["embedding"], **settings) as running:
        yield running


@pytest.mark.parametrize("client", PACKAGES)
def test_a_client_gets_vectors(encoding: Running, client: str, tmp_path: Path) -> None:
    folder = python_client(tmp_path, PACKAGES[client])
    vectors = python_output(folder, "embeddings.py", client, encoding.url)
    answer = encoding.client.post("/v1/embeddings", json={"input": TEXTS}).json()
    expected = [x["embedding"] for x in answer["data"]]
    assert np.array_equal(np.array(vectors, np.float32), np.array(expected, np.float32))
