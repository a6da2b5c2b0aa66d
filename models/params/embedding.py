"""The params of families that turn texts into vectors. No torch."""

from typing import Annotated

from pydantic import Field

from models.params.base import Params

MOST_TEXTS = 2048
"""Texts of one request, as OpenAI bounds it."""
LONGEST_TEXT = 200_000
"""Letters of a text; each checkpoint has a limit in tokens of its own."""
AT_ONCE = 16
"""Texts that a job is weighed by at most: they are small beside pictures."""

EmbeddedText = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class EmbeddingParams(Params):
    """Parameters of a text encoder."""

    texts: list[EmbeddedText] = Field(
        min_length=1,
        max_length=MOST_TEXTS,
        description="The texts, each of which becomes a vector. A text with more tokens than the "
        "model reads is refused.",
        examples=[["a lighthouse keeper", "a keeper of bees"]],
    )

    @property
    def rows(self) -> int:
        return min(len(self.texts), AT_ONCE)
