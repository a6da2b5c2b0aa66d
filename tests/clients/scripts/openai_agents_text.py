"""What OpenAI's agents do with a service that writes. `openai_agents_text.py URL`."""

import asyncio
import json
import sys
from typing import Any, Literal

import openai
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from pydantic import BaseModel, Field

set_tracing_disabled(True)


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


def weather_of(city: Literal["Ulm", "Bonn"]) -> str:
    """The weather of a city."""
    return f"sun in {city}"


weather = function_tool(weather_of, name_override="weather")


async def main(url: str) -> dict[str, Any]:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    models = [OpenAIChatCompletionsModel("gpt-4o", client), OpenAIResponsesModel("gpt-4o", client)]
    return {type(model).__name__: await outcome(model) for model in models}


async def outcome(model: Any) -> dict[str, Any]:
    """What agents get of a model."""

    def agent(**options: Any) -> Agent:
        settings = ModelSettings(
            max_tokens=200, extra_body={"seed": 1}, **options.pop("settings", {})
        )
        return Agent("keeper", model=model, model_settings=settings, **options)

    calling = {
        "tools": [weather],
        "settings": {"tool_choice": "required", "parallel_tool_calls": False},
    }
    first = agent(**calling, tool_use_behavior="stop_on_first_tool")
    question = "How is the weather?"
    stream = Runner.run_streamed(first, question)
    events = [event.type async for event in stream.stream_events()]
    whole = await Runner.run(agent(**calling), question)
    return {
        "animal": (
            await Runner.run(agent(output_type=Animal), "Which animal?")
        ).final_output.model_dump(),
        "result": (await Runner.run(first, question)).final_output,
        "streamed": stream.final_output,
        "events": sorted({*events}),
        "items": [type(item).__name__ for item in whole.new_items],
    }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
