"""OpenAI's request for a response."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from app.http.validation_errors import MANY, ONE
from app.openai.responses.input_items import InputItem, Turn
from app.openai.text.function_tools import (
    ALWAYS,
    ANY_OBJECT,
    Form,
    check_choice,
    check_distinct,
    text_or_object,
)
from app.openai.text.request import IN_JSON, NO_EFFECT, STOPS, OneOrMany, TextRequest
from models.params.chat import FunctionName, ParametersSchema
from models.params.conflicts import Inside, one_of, other_than
from models.params.fields import BLANK, Without
from models.params.json_schemas import JSONSchema
from models.params.token_sampling import LIKELIEST

OURS = "openai."
"""How the metadata of a job begins that this route adds."""
LOGPROBS = "message.output_text.logprobs"


Included = Literal["message.output_text.logprobs", "reasoning.encrypted_content"]


class PlainFormat(Form):
    """An answer that is text, or any JSON object."""

    type: Literal["text", "json_object"]


class SchemaFormat(Form):
    """An answer that is JSON, valid against a schema."""

    type: Literal["json_schema"]
    name: str | None = Field(default=None, max_length=64, description="Only for the client.")
    description: str | None = Field(default=None, description="Only for the client.")
    schema_: JSONSchema = Field(alias="schema", description="What the answer is valid against.")
    strict: bool | None = Field(default=None, description=ALWAYS)


def _form_of(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return MANY if kind == "json_schema" else ONE


TextFormat = Annotated[
    Annotated[PlainFormat, Tag(ONE)] | Annotated[SchemaFormat, Tag(MANY)],
    Discriminator(_form_of),
]


class TextOptions(Form):
    """How the text of an answer is to be."""

    format: TextFormat | None = None
    verbosity: str | None = Field(default=None, description=f"{NO_EFFECT}say it in the input.")


class ResponseTool(Form):
    """A function that an answer may call."""

    type: Literal["function"]
    name: FunctionName
    description: str | None = Field(default=None, max_length=4096)
    parameters: ParametersSchema | None = Field(
        default=None, description="The JSON schema of its arguments. Null takes none."
    )
    strict: bool | None = Field(default=None, description=ALWAYS)


class NamedFunction(Form):
    """The function that an answer has to call."""

    type: Literal["function"]
    name: FunctionName


def _distinct(tools: list[ResponseTool]) -> list[ResponseTool]:
    check_distinct([tool.name for tool in tools])
    return tools


FunctionChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(ONE)] | Annotated[NamedFunction, Tag(MANY)],
    Discriminator(text_or_object),
]
Asked = Annotated[str, Field(min_length=1), Without(BLANK)]
Items = Annotated[list[InputItem], Field(min_length=1, max_length=1000)]


class ResponsesRequest(TextRequest):
    """The fields of a request for a response that are OpenAI's alone."""

    said_otherwise = TextRequest.said_otherwise | {"max_tokens", "n"}
    conflicts = (
        *TextRequest.conflicts,
        {"background": one_of(True), "stream": one_of(True)},
        {"stop": STOPS, "tools": other_than(None, [])},
        {"stop": STOPS, "text": Inside(("format", "type"), IN_JSON)},
    )

    input: Annotated[Annotated[Asked, Tag(ONE)] | Annotated[Items, Tag(MANY)], OneOrMany] = Field(
        description="What to answer: a text, or the items of a conversation.",
        examples=["Write a haiku about rain."],
    )
    instructions: str | None = Field(
        default=None,
        description="What the model reads first. The next response does not inherit it.",
    )
    previous_response_id: str | None = Field(
        default=None, max_length=100, description="Go on from this response."
    )
    max_output_tokens: int | None = Field(
        default=None, strict=True, description="Write at most so many tokens.", examples=[100]
    )
    text: TextOptions | None = Field(default=None, description="The form of the answer.")
    tools: (
        Annotated[list[ResponseTool], Field(max_length=128), AfterValidator(_distinct)] | None
    ) = Field(default=None, description="Functions that the answer may call.")
    tool_choice: FunctionChoice | None = Field(
        default=None, description="Whether it calls a function, and which, as in a chat."
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description="Whether the answer may make several calls; it may if left out."
    )
    store: bool | None = Field(
        default=None, description="False: the response can't be looked at later, or gone on from."
    )
    background: bool | None = Field(
        default=None, description="Answer at once; look at the response until it is completed."
    )
    include: list[Included] | None = Field(
        default=None,
        description="`message.output_text.logprobs` tells log-probabilities. The other has no "
        "effect: nothing here is encrypted.",
    )
    top_logprobs: int | None = Field(
        default=None,
        ge=0,
        le=LIKELIEST,
        strict=True,
        description="Tell of so many of the likeliest tokens besides, with log-probabilities.",
    )
    truncation: Literal["disabled"] | None = Field(
        default=None, description="What doesn't fit into the context is refused."
    )
    reasoning: dict[str, Any] | None = Field(
        default=None, description=f"{NO_EFFECT}models here answer at once."
    )
    max_tool_calls: int | None = Field(
        default=None, description=f"{NO_EFFECT}no tool is called here: the client calls them."
    )
    prompt_cache_key: str | None = Field(
        default=None, description=f"{NO_EFFECT}prefixes are found without it."
    )

    @field_validator("tool_choice")
    @classmethod
    def _of_tools(cls, value: Any, info: ValidationInfo) -> Any:
        return check_choice(value, info)

    @field_validator("background")
    @classmethod
    def _of_what_is_stored(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value and info.data.get("store") is False:
            raise ValueError("background needs store: it is looked at later")
        if value and info.data.get("stream"):
            raise ValueError("background and stream don't go together")
        return value

    @property
    def names(self) -> Mapping[str, str]:
        return {
            "max_tokens": "max_output_tokens",
            "json_schema": "text.format.schema",
            "logprobs": "top_logprobs",
            "messages": "input",
        }

    @property
    def notes(self) -> dict[str, str]:
        """What its job remembers of it, in its metadata."""
        notes = {"instructions": "true"} if self.instructions else {}
        if self.previous_response_id is not None:
            notes["previous_response_id"] = self.previous_response_id
        if self.store is False:
            notes["store"] = "false"
        form = self.text and self.text.format
        if isinstance(form, SchemaFormat) and form.name:
            notes["format"] = form.name
        return {f"{OURS}{name}": value for name, value in notes.items()}

    def job_fields(self, turns: Sequence[Turn]) -> dict[str, Any]:
        """The model's own fields, for a conversation."""
        first = [{"role": "system", "content": self.instructions}] if self.instructions else []
        fields: dict[str, Any] = {"kind": "chat", "messages": [*first, *turns]}
        fields |= {**super().ours(), "max_tokens": self.max_output_tokens}
        if self.top_logprobs is not None or LOGPROBS in (self.include or ()):
            fields["logprobs"] = self.top_logprobs or 0
        form = self.text and self.text.format
        if isinstance(form, SchemaFormat):
            fields["json_schema"] = form.schema_
        elif form and form.type == "json_object":
            fields["json_schema"] = ANY_OBJECT
        return {**fields, **self._tools()}

    def _tools(self) -> dict[str, Any]:
        if not self.tools:
            return {}
        choice = self.tool_choice
        options = {
            "tool_choice": choice.name if isinstance(choice, NamedFunction) else choice,
            "parallel_tool_calls": self.parallel_tool_calls,
        }
        tools = [x.model_dump(exclude={"type", "strict"}, exclude_none=True) for x in self.tools]
        return {"tools": tools, **{k: v for k, v in options.items() if v is not None}}
