"""What OpenAI's requests say of an answer's form: its JSON schema, and the functions that it may
call. Null is as good as left out."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError

from app.http.validation_errors import MANY, ONE
from models.params.chat import Arguments, FunctionName, ParametersSchema
from models.params.conflicts import ABSENT, GIVEN, forbid, one_of, other_than
from models.params.json_schemas import JSONSchema

ANY_OBJECT: dict[str, Any] = {"type": "object"}
ALWAYS = "Taken without effect: a schema is always kept."


class Form(BaseModel):
    """A part of a request that knows its own fields alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: x for name, x in value.items() if x is not None}


class NamedSchema(Form):
    """A schema of an answer, and what to call it."""

    name: str | None = Field(default=None, max_length=64, description="Only for the client.")
    description: str | None = Field(default=None, description="Only for the client.")
    schema_: JSONSchema = Field(alias="schema", description="What the answer is valid against.")
    strict: bool | None = Field(default=None, description=ALWAYS)


class ResponseFormat(Form):
    """The form of an answer: text, any JSON object, or JSON that is valid against a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = Field(
        default=None, validate_default=True, description="Only with the type `json_schema`."
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        without = {"json_schema": ABSENT, "type": one_of("json_schema")}
        other = {"json_schema": GIVEN, "type": other_than("json_schema")}
        return forbid(handler(core_schema), [without, other])

    @field_validator("json_schema")
    @classmethod
    def _of_its_type(cls, value: NamedSchema | None, info: ValidationInfo) -> NamedSchema | None:
        wanted = info.data.get("type") == "json_schema"
        if value is None and wanted:
            raise PydanticKnownError("missing")
        if value is not None and "type" in info.data and not wanted:
            raise ValueError("json_schema needs the type json_schema")
        return value

    @property
    def schema_of_answer(self) -> dict[str, Any] | None:
        if self.json_schema is not None:
            return self.json_schema.schema_
        return ANY_OBJECT if self.type == "json_object" else None


class FunctionDefinition(Form):
    """A function of the client's."""

    name: FunctionName
    description: str | None = Field(default=None, max_length=4096)
    parameters: ParametersSchema | None = Field(
        default=None, description="The JSON schema of its arguments. Null takes none."
    )
    strict: bool | None = Field(default=None, description=ALWAYS)


class FunctionTool(Form):
    """A tool that an answer may call."""

    type: Literal["function"]
    function: FunctionDefinition

    def ours(self) -> dict[str, Any]:
        return self.function.model_dump(exclude={"strict"}, exclude_none=True)


class FunctionReference(Form):
    name: FunctionName


class NamedToolChoice(Form):
    """The function that an answer has to call."""

    type: Literal["function"]
    function: FunctionReference


def text_or_object(value: Any) -> str:
    return MANY if isinstance(value, dict) else ONE


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(ONE)]
    | Annotated[NamedToolChoice, Tag(MANY)],
    Discriminator(text_or_object),
]


def chosen(choice: str | NamedToolChoice | None) -> str | None:
    """The choice of tools as our own requests have it."""
    return choice.function.name if isinstance(choice, NamedToolChoice) else choice


class FunctionArguments(Form):
    name: FunctionName
    arguments: Arguments


class FunctionCall(Form):
    """A call that an answer of ours made, as it was given."""

    id: str = Field(min_length=1, max_length=100)
    type: Literal["function"] = "function"
    function: FunctionArguments

    def ours(self) -> dict[str, Any]:
        return {"id": self.id, **self.function.model_dump()}


def check_distinct(names: Sequence[str]) -> None:
    """Raises ValueError where two tools share a name."""
    if len({*names}) < len(names):
        raise ValueError("tools must have different names")


def check_choice(choice: Any, info: ValidationInfo) -> Any:
    """Returns a choice of tools. Raises ValueError where it needs tools and there are none."""
    if choice not in (None, "none", "auto") and "tools" in info.data and not info.data["tools"]:
        raise ValueError("tool_choice needs tools")
    return choice


def _distinct(tools: list[FunctionTool]) -> list[FunctionTool]:
    check_distinct([tool.function.name for tool in tools])
    return tools


FunctionTools = Annotated[list[FunctionTool], Field(max_length=128), AfterValidator(_distinct)]
