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
from app.openai.text.request import NO_EFFECT, Nothing, OneOrMany, TextRequest
from models.params.conflicts import ABSENT, GIVEN, forbid, one_of, other_than
from models.params.text import LIKELIEST


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

    role: Literal["system", "developer", "user", "assistant"]
    content: (
        Annotated[Annotated[str, Tag(ONE)] | Annotated[list[Part], Tag(MANY)], OneOrMany] | None
    ) = Field(default=None, validate_default=True, description="Only an answer may have none.")
    name: str | None = Field(default=None, description=f"{NO_EFFECT}roles say who speaks.")
    tool_calls: Nothing | None = Field(default=None, description="Only an empty one.")
    annotations: Nothing | None = Field(default=None, description="Only an empty one.")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        mute = {"role": other_than("assistant"), "content": ABSENT}
        return forbid(handler(core_schema), [mute])

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

    def ours(self) -> dict[str, str]:
        said = self.content or ""
        parts = [said] if isinstance(said, str) else [x.text for x in said]
        return {"role": self.role.replace("developer", "system"), "content": "".join(parts)}


class Format(BaseModel):
    """The only form that an answer can have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["text"]


class ChatRequest(TextRequest):
    """The fields of a chat that are OpenAI's alone."""

    conflicts = (
        *TextRequest.conflicts,
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
    response_format: Format | None = Field(default=None, description="Only text.")
    store: bool | None = Field(default=None, description=f"{NO_EFFECT}a job is kept for a day.")
    modalities: list[Literal["text"]] | None = Field(default=None, description="Only text.")
    tools: Nothing | None = Field(default=None, description="Only an empty list.")
    functions: Nothing | None = Field(default=None, description="Only an empty list.")
    tool_choice: Literal["none", "auto"] | None = Field(
        default=None, description=f"{NO_EFFECT}there are no tools."
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description=f"{NO_EFFECT}there are no tools."
    )
    reasoning_effort: str | None = Field(
        default=None, description=f"{NO_EFFECT}models here answer at once."
    )
    verbosity: str | None = Field(default=None, description=f"{NO_EFFECT}say it in the messages.")
    prompt_cache_key: str | None = Field(default=None, description=f"{NO_EFFECT}nothing is kept.")

    @field_validator("max_completion_tokens")
    @classmethod
    def _by_one_name(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("max_tokens") not in (None, value):
            raise ValueError("max_completion_tokens and max_tokens are two names of one")
        return value

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
        return {"logprobs": "top_logprobs", **newer}

    def ours(self) -> dict[str, Any]:
        """Without a limit, an answer is as long as the model makes it and its context allows."""
        fields: dict[str, Any] = {
            "kind": "chat",
            "messages": [turn.ours() for turn in self.messages],
        }
        most = self.max_completion_tokens
        fields["max_tokens"] = self.max_tokens if most is None else most
        chances = {"logprobs": self.top_logprobs or 0} if self.logprobs else {}
        return {**super().ours(), **fields, **chances}
