"""What Anthropic's client does with a service that writes. `anthropic_text.py URL`."""

import json
import sys
from typing import Any, Literal

import anthropic
from pydantic import BaseModel, Field


class Animal(BaseModel):
    """An animal."""

    name: Literal["hen", "whale"]
    legs: int = Field(ge=0, le=8)


CITY = {"type": "object", "properties": {"city": {"enum": ["Ulm", "Bonn"]}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "The weather of a city.", "input_schema": CITY}
MORE = {"seed": 1, "top_k": 40, "top_p": 0.9}
"""The client takes them by `extra_body` alone."""


def answered_by_tool(client: anthropic.Anthropic, asked: dict[str, Any]) -> dict[str, Any]:
    """A call of a tool, the same one streamed, and an answer after its result."""
    messages = [{"role": "user", "content": "How is the weather in Ulm?"}]
    calling = {**asked, "messages": messages, "tools": [WEATHER]}
    calling["tool_choice"] = {"type": "tool", "name": "weather"}
    message = client.messages.create(**calling)
    (use,) = message.content
    with client.messages.stream(**calling) as stream:
        inputs = [event.snapshot for event in stream if event.type == "input_json"]
        (streamed,) = stream.get_final_message().content
    messages += [
        {"role": "assistant", "content": message.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sun"}],
        },
    ]
    following = client.messages.create(**{**asked, "messages": messages, "tools": [WEATHER]})
    return {
        "block": [use.type, use.name, use.input["city"], message.stop_reason],
        "same": use.input == streamed.input == inputs[-1],
        "following": following.stop_reason,
    }


def main(url: str) -> dict[str, Any]:
    client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
    asked: dict[str, Any] = {"model": "gpt-4o", "max_tokens": 60, "extra_body": MORE}
    asked["messages"] = [{"role": "user", "content": "Which animal?"}]
    message = client.messages.create(**asked, system="Be brief.")
    with client.messages.stream(**asked, system="Be brief.") as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    animal = client.messages.parse(**asked, output_format=Animal).parsed_output
    try:
        client.messages.create(**{**asked, "extra_body": {"temperature": 9}})
    except anthropic.UnprocessableEntityError as error:
        refusal = error.body["error"]
    return {
        "text": message.content[0].text,
        "same": text == message.content[0].text == final.content[0].text,
        "stop": [message.stop_reason, final.stop_reason],
        "usage": [x.usage.model_dump(exclude_none=True) for x in (message, final)],
        "animals": {"parse": animal.model_dump()},
        "tools": answered_by_tool(client, asked),
        "refusal": refusal,
    }


print(json.dumps(main(*sys.argv[1:])))
