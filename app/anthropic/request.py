"""Anthropic's request for a message."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError

from app.anthropic.content_blocks import (
    CACHED,
    CacheControl,
    MessageTurn,
    Text,
    text_of,
)
from app.openai.text.function_tools import ALWAYS, Form, check_distinct
from app.openai.text.request import (
    NO_EFFECT,
    SAID_OTHERWISE,
    STOPS,
    DialectRequest,
    Stops,
)
from models.params.chat import FunctionName, ParametersSchema
from models.params.conflicts import ABSENT, GIVEN, Inside, forbid, one_of, other_than
from models.params.json_schemas import JSONSchema

CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class MessageTool(Form):
    """A function of the client's that an answer may call."""

    name: FunctionName
    input_schema: ParametersSchema = Field(description="The JSON schema of its arguments.")
    type: Literal["custom"] | None = None
    description: str | None = Field(default=None, max_length=4096)
    strict: bool | None = Field(default=None, description=ALWAYS)
    cache_control: CacheControl | None = Field(default=None, description=CACHED)


def _distinct(tools: list[MessageTool]) -> list[MessageTool]:
    check_distinct([tool.name for tool in tools])
    return tools


class MessageToolChoice(Form):
    """Whether an answer calls tools, and which."""

    type: Literal["auto", "any", "tool", "none"]
    name: FunctionName | None = Field(
        default=None, validate_default=True, description="Only with the type `tool`."
    )
    disable_parallel_tool_use: bool | None = Field(
        default=None, description="Whether the answer makes one call at most."
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        without = {"name": ABSENT, "type": one_of("tool")}
        other = {"name": GIVEN, "type": other_than("tool")}
        return forbid(handler(core_schema), [without, other])

    @field_validator("name")
    @classmethod
    def _of_its_type(cls, value: str | None, info: ValidationInfo) -> str | None:
        wanted = info.data.get("type") == "tool"
        if value is None and wanted:
            raise PydanticKnownError("missing")
        if value is not None and "type" in info.data and not wanted:
            raise ValueError("name needs the type tool")
        return value


class AnswerSchema(Form):
    """The schema of an answer that is JSON."""

    type: Literal["json_schema"]
    schema_: JSONSchema = Field(alias="schema", description="What the answer is valid against.")


class OutputConfig(Form):
    """How an answer is to be."""

    format: AnswerSchema | None = None
    effort: str | None = Field(default=None, description=f"{NO_EFFECT}models here answer at once.")


class MessagesRequest(DialectRequest):
    """The fields of a request for a message that are Anthropic's alone."""

    said_otherwise = SAID_OTHERWISE | {"stop", "n"}
    conflicts = (
        {"stop_sequences": STOPS, "tools": other_than(None, [])},
        {"stop_sequences": STOPS, "output_config": Inside(("format", "type"), ("json_schema",))},
        {"tool_choice": Inside(("type",), ("any", "tool")), "tools": one_of(None, [])},
    )

    messages: Annotated[list[MessageTurn], Field(min_length=1, max_length=1000)] = Field(
        description="The conversation so far. A user's message is the last one.",
        examples=[[{"role": "user", "content": "Write a haiku about rain."}]],
    )
    max_tokens: int = Field(
        strict=True, description="Write at most so many tokens.", examples=[100]
    )
    system: Text | None = Field(default=None, description="What the model reads first.")
    stop_sequences: Stops | None = Field(default=None, description="End before any of these.")
    stream: bool | None = Field(default=None, description="Send the message as it is written.")
    tools: Annotated[list[MessageTool], Field(max_length=128), AfterValidator(_distinct)] | None = (
        Field(default=None, description="Functions that the answer may call.")
    )
    tool_choice: MessageToolChoice | None = Field(
        default=None,
        description="`auto` leaves it to the model whether it calls tools, `any` asks for a call, "
        "`tool` for one of the tool with that name, and `none` refuses calls.",
    )
    output_config: OutputConfig | None = Field(default=None, description="The form of the answer.")
    metadata: dict[str, str | None] | None = Field(
        default=None, description="What the job remembers, such as `user_id`."
    )
    thinking: dict[str, Any] | None = Field(
        default=None, description=f"{NO_EFFECT}models here answer at once."
    )
    service_tier: str | None = Field(default=None, description=f"{NO_EFFECT}there is one.")
    cache_control: CacheControl | None = Field(default=None, description=CACHED)

    @field_validator("messages")
    @classmethod
    def _asks(cls, value: list[MessageTurn]) -> list[MessageTurn]:
        if value[-1].role == "assistant":
            raise ValueError("messages must end with a user's: an answer is not gone on from here")
        return value

    @field_validator("tool_choice")
    @classmethod
    def _of_tools(
        cls, value: MessageToolChoice | None, info: ValidationInfo
    ) -> MessageToolChoice | None:
        if value is None or value.type in ("auto", "none") or "tools" not in info.data:
            return value
        names = [tool.name for tool in info.data["tools"] or ()]
        if not names:
            raise ValueError("tool_choice needs tools")
        if value.type == "tool" and value.name not in names:
            raise ValueError(f"tool_choice names none of the tools: {value.name}")
        return value

    @property
    def names(self) -> Mapping[str, str]:
        return {"stop": "stop_sequences", "json_schema": "output_config.format.schema"}

    def job_fields(self) -> dict[str, Any]:
        """The model's own fields."""
        first = [{"role": "system", "content": text_of(self.system)}] if self.system else []
        turns = [turn for message in self.messages for turn in message.turns()]
        fields: dict[str, Any] = {"kind": "chat", "messages": [*first, *turns]}
        fields["max_tokens"] = self.max_tokens
        if self.stop_sequences is not None:
            fields["stop"] = self.stop_sequences
        if self.output_config and self.output_config.format:
            fields["json_schema"] = self.output_config.format.schema_
        if self.metadata is not None:
            fields["metadata"] = {k: v for k, v in self.metadata.items() if v is not None}
        return {**fields, **self._tools()}

    def _tools(self) -> dict[str, Any]:
        """The tools, and how they may be called; a choice without tools means nothing."""
        if not self.tools:
            return {}
        tools = []
        for tool in self.tools:
            described = {} if tool.description is None else {"description": tool.description}
            tools.append({"name": tool.name, **described, "parameters": tool.input_schema})
        fields: dict[str, Any] = {"tools": tools}
        choice = self.tool_choice
        if choice is not None:
            fields["tool_choice"] = choice.name or CHOICES[choice.type]
            if choice.disable_parallel_tool_use:
                fields["parallel_tool_calls"] = False
        return fields
