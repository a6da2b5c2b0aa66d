"""What LlamaIndex does with a service that writes. `llama_index_text.py URL`."""

import json
import sys
from typing import Any, Literal

from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


def weather(city: Literal["Ulm", "Bonn"]) -> str:
    """The weather of a city."""
    return f"sun in {city}"


def main(url: str) -> dict[str, Any]:
    base = {"api_base": f"{url}/v1", "api_key": "none", "max_retries": 0}

    def writer(**options: bool) -> OpenAILike:
        return OpenAILike(
            model="gpt-4o",
            is_chat_model=True,
            is_function_calling_model=True,
            context_window=2048,
            max_tokens=60,
            additional_kwargs={"seed": 1},
            **options,
            **base,
        )

    model = writer()
    models = {"tools": model, "json_schema": writer(should_use_structured_outputs=True)}
    animals = {
        way: one.as_structured_llm(Animal).complete("Which animal?").raw
        for way, one in models.items()
    }
    asked = {"user_msg": "How is the weather?", "tool_required": True}
    tools = [FunctionTool.from_defaults(weather)]
    calls = model.get_tool_calls_from_response(model.chat_with_tools(tools, **asked))
    *_, last = model.stream_chat_with_tools(tools, **asked)
    names = OpenAILikeEmbedding(model_name="text-embedding-3-small", **base)
    return {
        "animals": {way: animal.model_dump() for way, animal in animals.items()},
        "city": calls[0].tool_kwargs["city"],
        "same": model.get_tool_calls_from_response(last)[0].tool_kwargs == calls[0].tool_kwargs,
        "result": model.predict_and_call(tools, **asked).response,
        "vectors": [len(vector) for vector in names.get_text_embedding_batch(["hen", "whale"])],
    }


print(json.dumps(main(*sys.argv[1:])))
