"""What a client's embeddings do with a service; prints the vectors. `embeddings.py CLIENT URL`."""

import json
import sys
from collections.abc import Callable
from typing import Any

MODEL = "text-embedding-3-small"
TEXTS = ["the hen", "an ant, and the sea"]


def of_openai(base: str) -> Any:
    import openai

    client = openai.OpenAI(base_url=base, api_key="none", max_retries=0)
    return [x.embedding for x in client.embeddings.create(model=MODEL, input=TEXTS).data]


def of_langchain(base: str) -> Any:
    """It sends token ids otherwise."""
    from langchain_openai import OpenAIEmbeddings

    options: dict[str, Any] = {"check_embedding_ctx_length": False, "max_retries": 0}
    client = OpenAIEmbeddings(model=MODEL, base_url=base, api_key="none", **options)
    return client.embed_documents(TEXTS)


def of_llama_index(base: str) -> Any:
    from llama_index.embeddings.openai import OpenAIEmbedding

    client = OpenAIEmbedding(model=MODEL, api_base=base, api_key="none", max_retries=0)
    return client.get_text_embedding_batch(TEXTS)


def of_litellm(base: str) -> Any:
    import litellm

    litellm.suppress_debug_info = True
    options: dict[str, Any] = {"api_base": base, "api_key": "none", "num_retries": 0}
    answer = litellm.embedding(model=f"openai/{MODEL}", input=TEXTS, **options)
    return [x["embedding"] for x in answer.data]


CLIENTS: dict[str, Callable[[str], Any]] = {
    "openai": of_openai,
    "langchain": of_langchain,
    "llama-index": of_llama_index,
    "litellm": of_litellm,
}

name, url = sys.argv[1:]
print(json.dumps(CLIENTS[name](f"{url}/v1")))
