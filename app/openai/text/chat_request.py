"""OpenAI's request for an answer in a chat."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError

from app.http.validation_errors import MANY, ONE
from app.openai.text.function_tools import (
    FunctionCall,
    FunctionTools,
    ResponseFormat,
    ToolChoice,
    check_choice,
    chosen,
)
from app.openai.text.request import IN_JSON, NO_EFFECT, STOPS, Nothing, OneOrMany, TextRequest
from models.params.conflicts import ABSENT, GIVEN, Inside, forbid, one_of, other_than
from models.params.token_sampling import LIKELIEST


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["text"]
    text: str


class Turn(BaseModel):
    """A message of a chat: text, or pieces of text.

    An answer of ours is taken as it was given, with all that was null in it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: (
        Annotated[Annotated[str, Tag(ONE)] | Annotated[list[Part], Tag(MANY)], OneOrMany] | None
    ) = Field(default=None, validate_default=True, description="Only an answer may have none.")
    name: str | None = Field(default=None, description=f"{NO_EFFECT}roles say who speaks.")
    tool_calls: list[FunctionCall] | None = Field(
        default=None, max_length=100, description="The calls that an assistant made."
    )
    tool_call_id: str | None = Field(
        default=None,
        max_length=100,
        validate_default=True,
        description="The call that a tool's content is the result of.",
    )
    annotations: Nothing | None = Field(default=None, description="Only an empty one.")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        role = {"role": other_than("assistant")}
        mute, calling = {**role, "content": ABSENT}, {**role, "tool_calls": GIVEN}
        answering = {"role": other_than("tool"), "tool_call_id": GIVEN}
        unasked = {"role": one_of("tool"), "tool_call_id": ABSENT}
        return forbid(handler(core_schema), [mute, calling, answering, unasked])

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        """Null is as good as left out, whatever it is called."""
        if not isinstance(value, dict):
            return value
        return {name: x for name, x in value.items() if x is not None}

    @field_validator("content")
    @classmethod
    def _said(cls, content: Any, info: ValidationInfo) -> Any:
        if content is None and info.data.get("role") != "assistant":
            raise PydanticKnownError("missing")
        return content

    @field_validator("tool_calls")
    @classmethod
    def _of_an_assistant(
        cls, value: list[FunctionCall] | None, info: ValidationInfo
    ) -> list[FunctionCall] | None:
        if value and info.data.get("role", "assistant") != "assistant":
            raise ValueError("tool_calls needs the role assistant")
        return value

    @field_validator("tool_call_id")
    @classmethod
    def _of_a_tool(cls, value: str | None, info: ValidationInfo) -> str | None:
        role = info.data.get("role")
        if not value and role == "tool":
            raise PydanticKnownError("missing")
        if value is not None and role not in (None, "tool"):
            raise ValueError("tool_call_id needs the role tool")
        return value

    def ours(self) -> dict[str, Any]:
        said = self.content or ""
        parts = [said] if isinstance(said, str) else [x.text for x in said]
        turn: dict[str, Any] = {"role": self.role.replace("developer", "system")}
        turn["content"] = "".join(parts)
        if self.tool_calls:
            turn["tool_calls"] = [call.ours() for call in self.tool_calls]
        return turn if self.tool_call_id is None else {**turn, "tool_call_id": self.tool_call_id}


class ChatRequest(TextRequest):
    """The fields of a chat that are OpenAI's alone."""

    conflicts = (
        *TextRequest.conflicts,
        {"stop": STOPS, "tools": other_than(None, [])},
        {"stop": STOPS, "response_format": Inside(("type",), IN_JSON)},
        {"max_tokens": GIVEN, "max_completion_tokens": GIVEN},  # unless they are the same
        {"top_logprobs": other_than(None, 0), "logprobs": one_of(None, False)},
    )

    messages: list[Turn] = Field(
        min_length=1,
        description="The conversation so far.",
        examples=[[{"role": "user", "content": "Write a haiku about rain."}]],
    )
    max_tokens: int | None = Field(
        default=None, strict=True, description="Write at most so many tokens.", examples=[100]
    )
    max_completion_tokens: int | None = Field(
        default=None, strict=True, description="`max_tokens` by its newer name."
    )
    logprobs: bool | None = Field(default=None, description="Tell how likely each token was.")
    top_logprobs: int | None = Field(
        default=None,
        ge=0,
        le=LIKELIEST,
        strict=True,
        description="Tell of so many of the likeliest tokens besides. Only with `logprobs`.",
    )
    response_format: ResponseFormat | None = Field(
        default=None,
        description="`json_object` answers with a JSON object, `json_schema` with JSON that is "
        "valid against its schema.",
    )
    store: bool | None = Field(default=None, description=f"{NO_EFFECT}a job is kept for a day.")
    modalities: list[Literal["text"]] | None = Field(default=None, description="Only text.")
    tools: FunctionTools | None = Field(
        default=None, description="Functions that the answer may call."
    )
    functions: Nothing | None = Field(default=None, description="Only an empty list: see `tools`.")
    tool_choice: ToolChoice | None = Field(
        default=None,
        description="`auto` leaves it to the model whether it calls tools, `required` asks for a "
        "call, `none` refuses them; a function asks for one call of it.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description="Whether the answer may make several calls; it may if left out."
    )
    reasoning_effort: str | None = Field(
        default=None, description=f"{NO_EFFECT}models here answer at once."
    )
    verbosity: str | None = Field(default=None, description=f"{NO_EFFECT}say it in the messages.")
    prompt_cache_key: str | None = Field(
        default=None,
        description=f"{NO_EFFECT}prompts that begin as an earlier one of the same owner did are "
        "read faster in any case.",
    )

    @field_validator("max_completion_tokens")
    @classmethod
    def _by_one_name(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("max_tokens") not in (None, value):
            raise ValueError("max_completion_tokens and max_tokens are two names of one")
        return value

    @field_validator("tool_choice")
    @classmethod
    def _of_tools(cls, value: Any, info: ValidationInfo) -> Any:
        return check_choice(value, info)

    @field_validator("top_logprobs")
    @classmethod
    def _beside_its_own(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and not info.data.get("logprobs"):
            raise ValueError("top_logprobs needs logprobs")
        return value

    @property
    def names(self) -> Mapping[str, str]:
        newer = (
            {} if self.max_completion_tokens is None else {"max_tokens": "max_completion_tokens"}
        )
        schema = {"json_schema": "response_format.json_schema.schema"}
        return {"logprobs": "top_logprobs", **schema, **newer}

    def ours(self) -> dict[str, Any]:
        """Without a limit, an answer is as long as the model makes it and its context allows."""
        fields: dict[str, Any] = {
            "kind": "chat",
            "messages": [turn.ours() for turn in self.messages],
        }
        most = self.max_completion_tokens
        fields["max_tokens"] = self.max_tokens if most is None else most
        chances = {"logprobs": self.top_logprobs or 0} if self.logprobs else {}
        form = self.response_format and self.response_format.schema_of_answer
        schema = {} if form is None else {"json_schema": form}
        return {**super().ours(), **fields, **chances, **schema, **self._tools()}

    def _tools(self) -> dict[str, Any]:
        """The tools, and how they may be called; a choice without tools means nothing."""
        if not self.tools:
            return {}
        options = {
            "tool_choice": chosen(self.tool_choice),
            "parallel_tool_calls": self.parallel_tool_calls,
        }
        ours = {name: value for name, value in options.items() if value is not None}
        return {"tools": [tool.ours() for tool in self.tools], **ours}
