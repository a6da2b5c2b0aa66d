"""The grammar of an answer that is JSON, calls tools, or may do either."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llguidance import LLMatcher

from models.params.chat import Tool
from models.params.closed_schemas import closed
from models.params.function_calls import ARGUMENTS, BEGIN, END
from models.params.json_schemas import compact
from models.params.text import LanguageParams

TAG = "<tool_call>"
NEXT = f"\n{TAG}"
ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
NO_ARGUMENTS: Mapping[str, Any] = {
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}


def grammar_of(params: LanguageParams) -> str | None:
    """The grammar that an answer keeps, for llguidance; None where any text will do.

    Calls are written as `function_calls` says, a line apart. They follow the text of the answer,
    if it has any. A choice that names a tool asks for exactly one call, as OpenAI's does.
    """
    tools, choice = params.tools or [], params.tool_choice or "auto"
    if not tools or choice == "none":
        schema = params.json_schema
        return None if schema is None else LLMatcher.grammar_from_json_schema(_enforced(schema))
    usable = [tool for tool in tools if choice in ("auto", "required", tool.name)]
    if choice != "auto":
        start = [f"start: {_text(TAG)} call more"]
    elif params.json_schema is not None:
        answer = f"answer: {_json(params.json_schema)}"
        start = [f"start: answer | {_text(TAG)} call more", answer]
    else:  # a lazy lexeme ends as soon as it can: text that holds the tag begins a call
        opening = f"opening[lazy]: TEXT {_text(TAG)}"
        start = ["start: TEXT | opening call more", opening, r"TEXT: /(.|\n)*/"]
    several = params.parallel_tool_calls is not False and choice in ("auto", "required")
    further = f"({_text(NEXT)} call)*" if several else ""
    return "\n".join(["%llguidance {}", *start, f"more: {further}", *_calls(usable)]) + "\n"


def _calls(tools: Sequence[Tool]) -> Iterator[str]:
    """Rules for what follows the tag: one for each tool, and the choice among them."""
    yield "call: " + " | ".join(f"call_{number}" for number in range(len(tools)))
    for number, tool in enumerate(tools):
        front = BEGIN.removeprefix(TAG) + tool.name + ARGUMENTS
        schema = NO_ARGUMENTS if tool.parameters is None else tool.parameters or ANY_OBJECT
        yield f"call_{number}: {_text(front)} {_json(schema)} {_text(END)}"


def _json(schema: Mapping[str, Any]) -> str:
    return f"%json {json.dumps(_enforced(schema))}"


def _enforced(schema: Mapping[str, Any]) -> dict[str, Any]:
    return compact(closed(schema))


def _text(text: str) -> str:
    return json.dumps(text)
