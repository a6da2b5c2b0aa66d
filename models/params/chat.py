"""A conversation, and the tools that an answer in it may call. No torch."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from models.params.base import Params
from models.params.conflicts import ABSENT, GIVEN, Conflict, one_of, other_than
from models.params.fields import TEXT_LETTERS
from models.params.json_schemas import JSONSchema, check_together

MOST_TOOLS = 128
CHOICES = ("auto", "none", "required")


def _object_text(text: str) -> str:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it must be JSON: {error}") from None
    except RecursionError:
        raise ValueError("it must be JSON that nests less deeply") from None
    if not isinstance(parsed, dict):
        raise ValueError("it must be a JSON object")  # noqa: TRY004 (pydantic takes no TypeError)
    return text


def _not_a_choice(name: str) -> str:
    if name in CHOICES:
        raise ValueError(f"{name} is a choice of tools, and no name of one")
    return name


def is_none(value: Any) -> bool:
    return value is None


def _of_object(schema: dict[str, Any]) -> dict[str, Any]:
    if schema and schema.get("type") != "object":
        raise ValueError("it must be the schema of an object: its type must be object")
    return schema


FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Arguments = Annotated[str, Field(max_length=TEXT_LETTERS), AfterValidator(_object_text)]
"""A JSON object, as text."""


ParametersSchema = Annotated[JSONSchema, AfterValidator(_of_object)]
"""The JSON schema of a function's arguments; an empty one takes any."""


class ToolCall(Params):
    """A call of a tool, as an answer of the model made it."""

    id: str = Field(min_length=1, max_length=100, description="What the tool's result refers to.")
    name: FunctionName
    arguments: Arguments = Field(
        description="A JSON object, as text.", examples=['{"city": "Ulm"}']
    )


class Tool(Params):
    """A function of the client's that an answer may call."""

    name: Annotated[FunctionName, AfterValidator(_not_a_choice)] = Field(examples=["weather"])
    description: str | None = Field(default=None, max_length=4096)
    parameters: ParametersSchema | None = Field(
        default=None, description="The JSON schema of its arguments. Null takes none."
    )


class Message(Params):
    """A turn of a conversation. An assistant's may call tools; a tool's is the result of a call."""

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        {"tool_calls": GIVEN, "role": other_than("assistant")},
        {"tool_call_id": GIVEN, "role": other_than("tool")},
        {"tool_call_id": ABSENT, "role": one_of("tool")},
    )

    role: Literal["system", "user", "assistant", "tool"]
    content: str = Field(max_length=TEXT_LETTERS)
    tool_calls: Annotated[list[ToolCall], Field(min_length=1, max_length=MOST_TOOLS)] | None = (
        Field(
            default=None,
            exclude_if=is_none,
            description="The calls that an assistant made after its `content`.",
        )
    )
    tool_call_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        validate_default=True,
        exclude_if=is_none,
        description="The call that a tool's `content` is the result of.",
    )

    @field_validator("*")
    @classmethod
    def _without_conflict(cls, value: Any, info: ValidationInfo) -> Any:
        """Nothing is refused here: the validators below have messages of their own."""
        return value

    @field_validator("tool_calls")
    @classmethod
    def _of_an_assistant(
        cls, value: list[ToolCall] | None, info: ValidationInfo
    ) -> list[ToolCall] | None:
        if value is not None and info.data.get("role", "assistant") != "assistant":
            raise ValueError("tool_calls needs the role assistant")
        return value

    @field_validator("tool_call_id")
    @classmethod
    def _of_a_tool(cls, value: str | None, info: ValidationInfo) -> str | None:
        role = info.data.get("role")
        if value is None and role == "tool":
            raise PydanticKnownError("missing")
        if value is not None and role not in (None, "tool"):
            raise ValueError("tool_call_id needs the role tool")
        return value


def conflicts_of_structure() -> Iterator[Conflict]:
    """What does not go with schemas of answers, and with tools."""
    yield {"json_schema": GIVEN, "kind": other_than("chat", "completion")}
    yield {"tools": GIVEN, "kind": other_than("chat")}
    yield {"tool_choice": GIVEN, "tools": ABSENT}
    yield {"parallel_tool_calls": GIVEN, "tools": ABSENT}
    yield {"json_schema": GIVEN, "stop": other_than([])}
    yield {"tools": GIVEN, "stop": other_than([])}


def check_tools(tools: Sequence[Tool]) -> None:
    """Raises ValueError where two tools share a name, or their schemas are too much together."""
    names = [tool.name for tool in tools]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two tools are named {twice}")
    check_together([tool.parameters for tool in tools if tool.parameters is not None])


def check_tool_option(name: str, value: Any, data: Mapping[str, Any]) -> None:
    """Raises ValueError where there are no tools, or none that a choice names."""
    if "tools" not in data:  # they were refused
        return
    tools = data["tools"]
    if tools is None:
        raise ValueError(f"{name} needs tools")
    if name == "tool_choice" and value not in (*CHOICES, *(tool.name for tool in tools)):
        raise ValueError(f"{value} is neither auto, none or required nor one of the tools")
