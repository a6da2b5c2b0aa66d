"""What LangChain does with a service that writes. `langchain_text.py URL`."""

import json
import sys
from typing import Any, Literal

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


def weather_of(city: Literal["Ulm", "Bonn"]) -> str:
    """The weather of a city."""
    return f"sun in {city}"


weather = tool("weather")(weather_of)


def main(url: str) -> dict[str, Any]:
    base = {"base_url": f"{url}/v1", "api_key": "none", "max_retries": 0}
    model = ChatOpenAI(model="gpt-4o", max_tokens=60, seed=1, **base)
    responding = ChatOpenAI(model="gpt-4o", max_tokens=60, use_responses_api=True, **base)
    animals = {
        f"{method}{route}": one.with_structured_output(Animal, method=method).invoke("An animal?")
        for route, one in {"": model, ", responses": responding}.items()
        for method in ("json_schema", "function_calling")
    }
    question = "How is the weather?"
    asking = model.bind_tools([weather], tool_choice="weather", parallel_tool_calls=False)
    answer = asking.invoke(question)
    chunks = list(asking.stream(question))
    streamed = sum(chunks[1:], chunks[0])
    result = weather.invoke(answer.tool_calls[0])
    after = model.bind_tools([weather]).invoke([HumanMessage(question), answer, result])
    names = OpenAIEmbeddings(
        model="text-embedding-3-small", check_embedding_ctx_length=False, **base
    )
    return {
        "animals": {method: animal.model_dump() for method, animal in animals.items()},
        "city": answer.tool_calls[0]["args"]["city"],
        "same": streamed.tool_calls[0]["args"] == answer.tool_calls[0]["args"],
        "result": result.content,
        "tokens": after.usage_metadata["input_tokens"] - answer.usage_metadata["input_tokens"],
        "vectors": [len(vector) for vector in names.embed_documents(["a hen", "a whale"])],
    }


print(json.dumps(main(*sys.argv[1:])))
