"""The kinds of writing, and which fields go with which. No torch."""

from typing import Literal, TypeVar

from pydantic import ValidationInfo
from pydantic_core import PydanticKnownError

T = TypeVar("T")
Kind = Literal["story", "poem", "continuation", "chat", "completion"]
ABOUT: tuple[Kind, ...] = ("story", "poem")  # the kinds that take what to write about
AFTER: tuple[Kind, ...] = ("continuation", "completion")  # those that go on from a text


def only_with(value: T, info: ValidationInfo, kinds: tuple[Kind, ...]) -> T:
    if value is not None and info.data.get("kind", kinds[0]) not in kinds:
        raise ValueError(f"{info.field_name} needs the kind {' or '.join(kinds)}")
    return value


def just_with(value: T, info: ValidationInfo, kinds: tuple[Kind, ...]) -> T:
    """A field that these kinds alone take, and can't do without."""
    if value is None and info.data.get("kind") in kinds:
        raise PydanticKnownError("missing")
    return only_with(value, info, kinds)


ADVANCED_TEXT = frozenset(
    (
        *("theme", "lines", "messages", "stop", "logprobs", "prompt_logprobs", "logit_bias"),
        *("json_schema", "tools", "tool_choice", "parallel_tool_calls"),
        *("top_k", "top_p", "min_p"),
        *("repetition_penalty", "presence_penalty", "frequency_penalty"),
    )
)
"""Params of text that forms show only to those who ask for more."""
