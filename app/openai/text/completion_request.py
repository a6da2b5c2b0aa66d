"""OpenAI's request for what follows a text."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, Tag

from app.http.validation_errors import MANY, ONE
from app.openai.text.request import OneOrMany, TextRequest
from models.params.fields import BLANK, Without

FEW = 16  # tokens, if it isn't said
MOST = 64  # texts of one request
Passage = Annotated[str, Without(BLANK)]  # the model refuses a blank one
Texts = Annotated[list[Passage], Field(min_length=1, max_length=MOST)]


class CompletionRequest(TextRequest):
    """The fields of a completion that are OpenAI's alone."""

    prompt: Annotated[Annotated[Passage, Tag(ONE)] | Annotated[Texts, Tag(MANY)], OneOrMany] = (
        Field(
            description="What to go on from: a text, or several, whose choices follow one another.",
            examples=["The door had been locked for years, until"],
        )
    )
    max_tokens: int | None = Field(
        default=None,
        strict=True,
        description=f"Write at most so many tokens; {FEW} if it is left out.",
        examples=[100],
    )
    echo: bool | None = Field(default=None, description="Give the prompt back in front.")
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=5,
        strict=True,
        description="Tell how likely each token was, and so many of the likeliest besides; with "
        "`echo`, also each of the prompt.",
    )
    best_of: Annotated[int, Field(ge=1, le=1)] | None = Field(
        default=None, description="Only 1: ask for `n`, and choose."
    )
    suffix: Annotated[str, Field(max_length=0)] | None = Field(
        default=None, description="Only an empty one: no model here fills gaps."
    )

    @property
    def names(self) -> Mapping[str, str]:
        return {"text": "prompt"}

    @property
    def texts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    def each(self) -> list[dict[str, Any]]:
        return [{**self.ours(), "text": text} for text in self.texts]

    def ours(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"kind": "completion"}
        limit = {"max_tokens": FEW if self.max_tokens is None else self.max_tokens}
        chances: dict[str, Any] = {} if self.logprobs is None else {"logprobs": self.logprobs}
        if self.logprobs is not None and self.echo:
            chances["prompt_logprobs"] = True
        return {**super().ours(), **fields, **limit, **chances}
