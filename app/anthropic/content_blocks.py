"""The messages of Anthropic's conversations, read as the turns of a chat."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, WithJsonSchema, field_validator
from pydantic.json_schema import JsonSchemaValue
from typing_extensions import TypeAliasType

from app.http.validation_errors import MANY, ONE
from app.openai.text.function_tools import Form
from app.openai.text.request import NO_EFFECT, Nothing, OneOrMany
from models.params.chat import FunctionName
from models.params.fields import TEXT_LETTERS

Turn = dict[str, Any]
"""A message as a model's own request has it."""
CACHED = f"{NO_EFFECT}prompts that begin alike are read faster in any case."
CallId = Annotated[str, Field(min_length=1, max_length=100)]
BlockString = Annotated[str, Field(max_length=TEXT_LETTERS)]


class CacheControl(Form):
    """Where a client's prompt may be cached."""

    type: Literal["ephemeral"]
    ttl: str | None = None


class TextBlock(Form):
    """A piece of text."""

    type: Literal["text"]
    text: BlockString
    cache_control: CacheControl | None = Field(default=None, description=CACHED)
    citations: Nothing | None = Field(default=None, description="Only an empty list.")


Text = Annotated[
    Annotated[BlockString, Tag(ONE)] | Annotated[list[TextBlock], Tag(MANY)], OneOrMany
]


class ToolUseBlock(Form):
    """A call that an answer made."""

    type: Literal["tool_use"]
    id: CallId
    name: FunctionName
    input: dict[str, Any]
    cache_control: CacheControl | None = Field(default=None, description=CACHED)
    caller: dict[str, Any] | None = Field(default=None, description="Taken without effect.")


class ToolResultBlock(Form):
    """The result of a call."""

    type: Literal["tool_result"]
    tool_use_id: CallId
    content: Text = ""
    is_error: bool | None = Field(default=None, description=f"{NO_EFFECT}the content says it.")
    cache_control: CacheControl | None = Field(default=None, description=CACHED)


KINDS = ("tool_use", "tool_result")


def _kind_of(block: Any) -> str:
    kind = block.get("type") if isinstance(block, dict) else getattr(block, "type", None)
    return f"|{kind}" if kind in KINDS else "|text"


BLOCK_SCHEMA: JsonSchemaValue = {
    "type": "object",
    "description": "`text` (`text`), `tool_use` (`id`, `name`, `input`) of an assistant, or "
    "`tool_result` (`tool_use_id`, `content`) of a user.",
    "properties": {
        "type": {"type": "string", "enum": ["text", *KINDS]},
        **{name: {"type": "string"} for name in ("text", "id", "name", "tool_use_id")},
        "input": {"type": "object"},
        "content": {},
        "is_error": {"type": "boolean"},
        "cache_control": {"type": "object"},
    },
    "required": ["type"],
}
"""All kinds of blocks in one: generators of clients take no union in a list that may be a text."""
InputBlock = TypeAliasType(
    "InputBlock",
    Annotated[
        Annotated[TextBlock, Tag("|text")]
        | Annotated[ToolUseBlock, Tag("|tool_use")]
        | Annotated[ToolResultBlock, Tag("|tool_result")],
        Discriminator(_kind_of),
        WithJsonSchema(BLOCK_SCHEMA),
    ],
)


class MessageTurn(Form):
    """What somebody said, called, or found by a call."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        Annotated[BlockString, Tag(ONE)] | Annotated[list[InputBlock], Tag(MANY)], OneOrMany
    ]

    @field_validator("content")
    @classmethod
    def _of_its_role(cls, content: Any, info: ValidationInfo) -> Any:
        role = info.data.get("role")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, ToolUseBlock) and role != "assistant":
                raise ValueError("a tool_use block needs the role assistant")
            if isinstance(block, ToolResultBlock) and role != "user":
                raise ValueError("a tool_result block needs the role user")
        return content

    def turns(self) -> Iterator[Turn]:
        """The turns that it is: an assistant's is one, and each result of a call is one."""
        if isinstance(self.content, str):
            yield {"role": self.role, "content": self.content}
            return
        if self.role == "assistant":
            yield self._answer(self.content)
            return
        text: list[TextBlock] = []
        for block in self.content:
            if isinstance(block, ToolResultBlock):
                yield from self._said(text)
                text = []
                content = text_of(block.content)
                yield {"role": "tool", "content": content, "tool_call_id": block.tool_use_id}
            elif isinstance(block, TextBlock):
                text.append(block)
        yield from self._said(text)

    def _said(self, text: list[TextBlock]) -> Iterator[Turn]:
        if text:
            yield {"role": self.role, "content": text_of(text)}

    def _answer(self, blocks: Sequence[TextBlock | ToolUseBlock | ToolResultBlock]) -> Turn:
        text = [block for block in blocks if isinstance(block, TextBlock)]
        calls = [
            {
                "id": block.id,
                "name": block.name,
                "arguments": json.dumps(block.input, ensure_ascii=False),
            }
            for block in blocks
            if isinstance(block, ToolUseBlock)
        ]
        turn = {"role": "assistant", "content": text_of(text)}
        return {**turn, "tool_calls": calls} if calls else turn


def text_of(content: str | Sequence[TextBlock]) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content)
