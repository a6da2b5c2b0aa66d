"""What instructor does with a service that writes. `instructor_text.py URL`."""

import json
import sys
from collections.abc import Iterable
from typing import Any, Literal

import instructor
import openai
from instructor import Mode
from pydantic import BaseModel, Field

KEEPING = (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.FUNCTIONS, Mode.JSON_SCHEMA, Mode.JSON_O1)
"""Modes that send the schema to the service. The others only write it into the messages."""


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


class Reply(BaseModel):
    """Anything at all, as a model may write that only reads of a schema."""

    model_config = {"extra": "allow"}


def main(url: str) -> dict[str, Any]:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    question = [{"role": "user", "content": "Which animal?"}]
    asked: dict[str, Any] = {"model": "gpt-4o", "seed": 1, "max_tokens": 80, "max_retries": 0}
    asked["messages"] = question

    def chat(mode: Mode) -> Any:
        return instructor.from_openai(client, mode=mode).chat.completions

    animals = {}
    for mode in KEEPING:
        animals[mode.name] = chat(mode).create(response_model=Animal, **asked)
        *_, last = chat(mode).create_partial(response_model=Animal, **asked)
        animals[f"{mode.name}, streamed"] = last
    several = chat(Mode.PARALLEL_TOOLS).create(
        response_model=Iterable[Animal], tool_choice="required", **asked
    )
    return {
        "animals": {name: animal.model_dump() for name, animal in animals.items()},
        "several": [animal.model_dump() for animal in several],
        "iterable": [
            animal.model_dump()
            for animal in chat(Mode.TOOLS).create_iterable(
                response_model=Animal, **{**asked, "max_tokens": 200}
            )
        ],
        "any": chat(Mode.JSON).create(response_model=Reply, **asked).model_dump(),
    }


print(json.dumps(main(*sys.argv[1:])))
