"""What a model reads of the tools and of the schema of its answer.

A template that writes tools as `function_calls` does gets them as its own. Others get an
instruction in the conversation's first turn, and calls and results as text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.language.chat_templates import Turn
from models.params.chat import Message, Tool, ToolCall
from models.params.function_calls import ARGUMENTS, BEGIN, END
from models.params.text import LanguageParams

TOOLS = (
    "You may call functions. These are their signatures, each a JSON object:\n{tools}\n\n"
    "To call a function, answer with its name and its arguments between tags:\n"
    f"{BEGIN}...{ARGUMENTS}{{}}{END}\n"
    "You are given its result between <tool_response> and </tool_response>."
)
SCHEMA = "Answer with JSON alone. It must be valid against this JSON schema:\n{schema}"


def native_turns(messages: Sequence[Message]) -> list[Turn]:
    """The conversation as transformers' templates with tools take it."""
    return [_native(message) for message in messages]


def native_tools(params: LanguageParams) -> list[Mapping[str, Any]]:
    """The tools that an answer may call, as templates take them."""
    if params.tool_choice == "none":
        return []
    return [{"type": "function", "function": _signature(tool)} for tool in params.tools or ()]


def plain_turns(messages: Sequence[Message]) -> list[Turn]:
    """The conversation with calls and results as text: neighbours of one role become one turn, as
    most templates want roles by turns."""
    turns: list[dict[str, str]] = []
    for message in messages:
        role, content = _plain(message)
        if role == "user" and turns and turns[-1]["role"] == "user" and message.role == "tool":
            turns[-1]["content"] += f"\n{content}"
        else:
            turns.append({"role": role, "content": content})
    return [*turns]


def instructed(turns: Sequence[Turn], instruction: str, takes_system: bool) -> list[Turn]:
    """The turns with an instruction at the end of the system's, or else before the first one's."""
    first, *others = turns
    if first["role"] == "system":
        return [{**first, "content": f"{first['content']}\n\n{instruction}".lstrip()}, *others]
    if takes_system:
        return [{"role": "system", "content": instruction}, *turns]
    return [{**first, "content": f"{instruction}\n\n{first['content']}"}, *others]


def instruction_of(params: LanguageParams, with_tools: bool) -> str:
    """What to tell of the schema, and of the tools where the template doesn't; may be empty."""
    tools = native_tools(params) if with_tools else []
    listed = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    instructions = [TOOLS.replace("{tools}", listed)] if tools else []
    if params.json_schema is not None:
        schema = json.dumps(params.json_schema, ensure_ascii=False)
        instructions.append(SCHEMA.replace("{schema}", schema))
    return "\n\n".join(instructions)


def _signature(tool: Tool) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    described = {} if tool.description is None else {"description": tool.description}
    return {"name": tool.name, **described, "parameters": parameters}


def _native(message: Message) -> Turn:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls is not None:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _plain(message: Message) -> tuple[str, str]:
    """The role and the text of a turn."""
    if message.role == "tool":
        return "user", f"<tool_response>\n{message.content}\n</tool_response>"
    calls = [_call_text(call) for call in message.tool_calls or ()]
    return message.role, "\n".join([message.content, *calls] if message.content else calls)


def _call_text(call: ToolCall) -> str:
    return f"{BEGIN}{call.name}{ARGUMENTS}{json.dumps(json.loads(call.arguments))}{END}"
