"""What litellm does with a service that writes. `litellm_text.py URL`.

`litellm.anthropic.messages` is Anthropic's `/v1/messages`, which litellm sends to `/v1/responses`.
"""

import asyncio
import json
import sys
from typing import Any, Literal

import litellm
from pydantic import BaseModel, Field

litellm.suppress_debug_info = True
CITY = {"type": "object", "properties": {"city": {"enum": ["Ulm", "Bonn"]}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY}}


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


def main(url: str) -> dict[str, Any]:
    base = {"api_base": f"{url}/v1", "api_key": "none", "num_retries": 0}
    question: list[Any] = [{"role": "user", "content": "Which animal?"}]
    asked: dict[str, Any] = {"model": "openai/gpt-4o", "max_tokens": 60, "seed": 1, **base}

    def answer(*turns: Any, **options: Any) -> Any:
        return litellm.completion(messages=[*question, *turns], **asked, **options)

    calling = {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False}
    message = answer(**calling).choices[0].message
    (call,) = message.tool_calls
    whole = litellm.stream_chunk_builder([*answer(**calling, stream=True)]).choices[0].message
    result = {"role": "tool", "tool_call_id": call.id, "content": "sun"}
    tool = {"name": "weather", "input_schema": CITY}
    block = asyncio.run(
        litellm.anthropic.messages.acreate(
            model="openai/gpt-4o",
            max_tokens=60,
            messages=question,
            tools=[tool],
            tool_choice={"type": "any", "disable_parallel_tool_use": True},
            **base,
        )
    )["content"][0]
    vectors = litellm.embedding(
        model="openai/text-embedding-3-small", input=["a hen", "a whale"], **base
    )
    return {
        "animals": {
            "response_format": json.loads(answer(response_format=Animal).choices[0].message.content)
        },
        "city": json.loads(call.function.arguments)["city"],
        "same": whole.tool_calls[0].function == call.function,
        "block": [block["type"], block["name"], block["input"]["city"]],
        "finish": answer(message, result, tools=[WEATHER]).choices[0].finish_reason,
        "vectors": [len(vector["embedding"]) for vector in vectors.data],
    }


print(json.dumps(main(*sys.argv[1:])))
