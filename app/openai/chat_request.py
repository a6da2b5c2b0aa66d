"""OpenAI's request for an answer in a chat."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app.openai.text_request import NO_EFFECT, TextAsked
from models.text_params import LIKELIEST


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["text"]
    text: str


class Turn(BaseModel):
    """A message of a chat: text, or pieces of text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
    name: str | None = Field(default=None, description=f"{NO_EFFECT}roles say who speaks.")

    def ours(self) -> dict[str, str]:
        parts = [self.content] if isinstance(self.content, str) else [x.text for x in self.content]
        return {"role": self.role.replace("developer", "system"), "content": "".join(parts)}


class Format(BaseModel):
    """The only form that an answer can have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["text"]


class ChatAsked(TextAsked):
    """The fields of a chat that are OpenAI's alone."""

    names: ClassVar[Mapping[str, str]] = {"logprobs": "top_logprobs"}

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

    @field_validator("max_completion_tokens")
    @classmethod
    def _by_one_name(cls, given: int | None, info: ValidationInfo) -> int | None:
        if given is not None and info.data.get("max_tokens") not in (None, given):
            raise ValueError("max_completion_tokens and max_tokens are two names of one")
        return given

    @field_validator("top_logprobs")
    @classmethod
    def _beside_its_own(cls, given: int | None, info: ValidationInfo) -> int | None:
        if given is not None and not info.data.get("logprobs"):
            raise ValueError("top_logprobs needs logprobs")
        return given

    def ours(self) -> dict[str, Any]:
        told = {"kind": "chat", "messages": [turn.ours() for turn in self.messages]}
        most = self.max_completion_tokens
        most = self.max_tokens if most is None else most
        limit = {} if most is None else {"max_tokens": most}
        chances = {"logprobs": self.top_logprobs or 0} if self.logprobs else {}
        return {**super().ours(), **told, **limit, **chances}
