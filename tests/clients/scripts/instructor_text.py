"""What instructor does with a service that writes. `instructor_text.py URL`."""

import json
import sys
from typing import Any, Literal

import instructor
import openai
from instructor import Mode
from pydantic import BaseModel, Field

MODES = (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.FUNCTIONS, Mode.JSON_SCHEMA, Mode.JSON_O1)
"""Modes that send the schema. JSON and MD_JSON have it in the messages, which a small model
forgets; PARALLEL_TOOLS leaves it to the model whether it calls a tool."""


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


def main(url: str) -> dict[str, Any]:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    asked: dict[str, Any] = {"model": "gpt-4o", "max_tokens": 60, "max_retries": 0}
    asked["messages"] = [{"role": "user", "content": "Which animal?"}]
    animals = {}
    for mode in MODES:
        completions = instructor.from_openai(client, mode=mode).chat.completions
        animals[mode.name] = completions.create(response_model=Animal, seed=1, **asked)
        *_, last = completions.create_partial(response_model=Animal, seed=1, **asked)
        animals[f"{mode.name}, streamed"] = last
    responses = instructor.from_openai(client, mode=Mode.RESPONSES_TOOLS).chat.completions
    animals["RESPONSES_TOOLS"] = responses.create(response_model=Animal, **asked)
    return {"animals": {name: animal.model_dump() for name, animal in animals.items()}}


print(json.dumps(main(*sys.argv[1:])))
