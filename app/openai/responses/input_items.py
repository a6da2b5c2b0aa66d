"""The items of a conversation as OpenAI's responses have them, read as the turns of a chat."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from typing_extensions import TypeAliasType

from app.core.errors import Unprocessable
from app.http.validation_errors import MANY, ONE
from app.openai.text.function_tools import Form
from app.openai.text.request import Nothing, OneOrMany
from models.params.chat import Arguments, FunctionName

KINDS = ("function_call", "function_call_output", "item_reference")
ItemId = Annotated[str, Field(min_length=1, max_length=100)]


class ItemText(Form):
    """A piece of an item's text; an answer's may come back as it was given."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: Nothing | None = Field(default=None, description="Only an empty one.")
    logprobs: list[Any] | None = Field(default=None, description="Taken without effect.")


Texts = Annotated[
    Annotated[str, Tag(ONE)] | Annotated[list[ItemText], Tag(MANY)],
    OneOrMany,
]


class InputMessage(Form):
    """What somebody said."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Texts
    id: ItemId | None = None
    status: str | None = Field(default=None, description="Taken without effect.")


class InputCall(Form):
    """A call of a function, which an answer made."""

    type: Literal["function_call"]
    call_id: ItemId
    name: FunctionName
    arguments: Arguments
    id: ItemId | None = None
    status: str | None = Field(default=None, description="Taken without effect.")


class InputCallOutput(Form):
    """The result of a call."""

    type: Literal["function_call_output"]
    call_id: ItemId
    output: Texts
    id: ItemId | None = None
    status: str | None = Field(default=None, description="Taken without effect.")


class ItemReference(Form):
    """An item of an earlier response, by its id."""

    type: Literal["item_reference"]
    id: ItemId


def _kind_of(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return f"|{kind}" if kind in KINDS else "|message"


_TEXT = {"type": "string"}
ITEM_SCHEMA: JsonSchemaValue = {
    "type": "object",
    "description": "A message (`role`, `content`), a `function_call` (`call_id`, `name`, "
    "`arguments`), a `function_call_output` (`call_id`, `output`), or an `item_reference` (`id`). "
    "`content` and `output` are a text, or a list of pieces with `type` and `text`.",
    "properties": {
        "type": {"type": "string", "enum": ["message", *KINDS]},
        "role": {"type": "string", "enum": ["user", "assistant", "system", "developer"]},
        "content": {},
        **dict.fromkeys(("call_id", "name", "arguments", "id", "status"), _TEXT),
        "output": {},
    },
}
"""All kinds of items in one: generators of clients take no union in a list that may be a text."""
InputItem = TypeAliasType(
    "InputItem",
    Annotated[
        Annotated[InputMessage, Tag("|message")]
        | Annotated[InputCall, Tag("|function_call")]
        | Annotated[InputCallOutput, Tag("|function_call_output")]
        | Annotated[ItemReference, Tag("|item_reference")],
        Discriminator(_kind_of),
        WithJsonSchema(ITEM_SCHEMA),
    ],
)
Turn = dict[str, Any]
"""A message as a model's own request has it."""


def turns_of(
    items: Sequence[InputMessage | InputCall | InputCallOutput | ItemReference],
    referenced: Mapping[str, Turn],
) -> list[Turn]:
    """The turns that items make: the calls that follow an answer are the answer's.

    `referenced` has what references stand for, by id. Raises Unprocessable for one that is missing.
    """
    turns: list[Turn] = []
    for number, item in enumerate(items):
        match item:
            case InputMessage():
                role = item.role.replace("developer", "system")
                turns.append({"role": role, "content": _text(item.content)})
            case InputCall():
                call = {"id": item.call_id, "name": item.name, "arguments": item.arguments}
                _append(turns, {"role": "assistant", "content": "", "tool_calls": [call]})
            case InputCallOutput():
                result = {"role": "tool", "content": _text(item.output)}
                turns.append({**result, "tool_call_id": item.call_id})
            case ItemReference() if item.id in referenced:
                _append(turns, referenced[item.id])
            case ItemReference():
                message = f"input.{number}.id names no item of a response that is stored: {item.id}"
                raise Unprocessable(message, param=f"input.{number}.id")
    return turns


def _append(turns: list[Turn], turn: Turn) -> None:
    """Adds a turn; the calls of an answer that goes before join it."""
    before = turns[-1] if turns else None
    if before and before["role"] == "assistant" and not turn["content"]:
        calls = [*before.get("tool_calls", ()), *turn["tool_calls"]]
        turns[-1] = {**before, "tool_calls": calls}
    else:
        turns.append(turn)


def _text(content: str | list[ItemText]) -> str:
    return content if isinstance(content, str) else "".join(piece.text for piece in content)
