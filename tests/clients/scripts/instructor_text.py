"""What instructor does with a service that writes. `instructor_text.py URL`."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import instructor
import openai
from instructor import Mode
from instructor.core.exceptions import InstructorError
from pydantic import BaseModel, Field

IN_BLOCK = "Return the correct JSON response within a ```json codeblock. not the JSON_SCHEMA"
"""What instructor adds to the last message of a request in the mode MD_JSON."""
PROMPTED = {Mode.JSON: "{answer}", Mode.MD_JSON: "```json\n{answer}\n```"}
"""Modes that have the schema only in the messages, and the form of their answers."""
LEGS = {"hen": 2, "whale": 0}
SETTINGS: dict[str, Any] = {
    "model": "gpt-4o",
    "max_tokens": 100,
    "max_retries": 0,
    "temperature": 0,
    "extra_body": {"repetition_penalty": 1},
}
"""A small model follows examples, but not with the packaged models' own penalty on tokens that
the prompt has already."""


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


class Weather(BaseModel):
    """The weather of a city."""

    city: Literal["Ulm", "Bonn"]


class Clock(BaseModel):
    """The time in a city."""

    city: Literal["Ulm", "Bonn"]


def said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def animal_chat(mode: Mode, name: str) -> list[dict[str, Any]]:
    """Asks for an animal, after examples where the mode doesn't send the schema."""
    messages = []
    for example in ("hen", "whale", "hen") if mode in PROMPTED else ():
        question = f"Which animal? A {example}."
        answer = json.dumps({"name": example, "legs": LEGS[example]})
        messages += [
            said("user", f"{question}\n\n{IN_BLOCK}" if mode is Mode.MD_JSON else question),
            said("assistant", PROMPTED[mode].format(answer=answer)),
        ]
    return [*messages, said("user", f"Which animal? A {name}.")]


def called(names: Sequence[str], city: str) -> list[dict[str, Any]]:
    """An answer that calls these tools, and their results."""
    arguments = json.dumps({"city": city})
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": arguments}}
        for name in names
    ]
    results = [{"role": "tool", "tool_call_id": name, "content": "fine"} for name in names]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *results]


def parallel_chat() -> list[dict[str, Any]]:
    """Asks two questions in one, after two examples that call two tools each."""
    messages = []
    for city in ("Ulm", "Bonn"):
        messages.append(said("user", f"Weather and time in {city}?"))
        messages += called(["Weather", "Clock"], city)
    return [*messages, said("user", "Weather and time in Ulm?")]


def openai_modes(client: openai.OpenAI) -> dict[Mode, Any]:
    """The modes that instructor has for OpenAI, and its client in each."""
    clients = {}
    for mode in Mode:
        try:
            clients[mode] = instructor.from_openai(client, mode=mode).chat.completions
        except InstructorError:
            continue  # a mode of another provider
    return clients


def main(url: str) -> dict[str, Any]:
    clients = openai_modes(openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0))
    parallel = clients[Mode.PARALLEL_TOOLS].create(
        response_model=Iterable[Weather | Clock], messages=parallel_chat(), **SETTINGS
    )
    animals = {}
    for mode, completions in clients.items():
        if mode is Mode.PARALLEL_TOOLS:
            continue  # instructor doesn't stream it, and has lists in it alone
        for name in LEGS:
            asked = {"response_model": Animal, "messages": animal_chat(mode, name), **SETTINGS}
            animals[f"{mode.name}, {name}"] = completions.create(**asked)
        *_, animals[f"{mode.name}, streamed"] = completions.create_partial(**asked)
    return {
        "modes": [mode.name for mode in clients],
        "animals": {name: animal.model_dump() for name, animal in animals.items()},
        "calls": [[type(call).__name__, call.city] for call in parallel],
    }


print(json.dumps(main(*sys.argv[1:])))
