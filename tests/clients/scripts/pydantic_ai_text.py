"""What Pydantic AI does with a service that writes. `pydantic_ai_text.py URL`."""

import asyncio
import json
import sys
from typing import Any, Literal

import openai
from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


def weather(city: Literal["Ulm", "Bonn"]) -> str:
    """The weather of a city."""
    return f"sun in {city}"


async def main(url: str) -> dict[str, Any]:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client))
    settings = {"max_tokens": 60, "seed": 1, "parallel_tool_calls": False}
    common: dict[str, Any] = {"model_settings": settings, "retries": 0}
    animals = {}
    for name, output in {"tool": Animal, "native": NativeOutput(Animal)}.items():
        agent = Agent(model, output_type=output, **common)
        animals[name] = (await agent.run("Which animal?")).output
        async with agent.run_stream("Which animal?") as run:
            async for animal in run.stream_output():
                animals[f"{name}, streamed"] = animal
    calling = Agent(model, output_type=ToolOutput(weather), **common)
    return {
        "animals": {name: animal.model_dump() for name, animal in animals.items()},
        "result": (await calling.run("How is the weather?")).output,
        "text": (await Agent(model, **common).run("Say hello.")).output,
    }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
