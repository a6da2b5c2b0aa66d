"""Texts to tokens and back, by the tokenizer and the chat template that a checkpoint brings.

What a user writes is text, whatever it looks like: a mark such as `<|im_end|>` in it is read as
its letters, never as the mark. A chat is rendered as transformers renders it; only the marks that
the template itself wrote (see `template_process`) become special tokens.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from models.checkpoint.configs import LanguageTokenizer
from models.checkpoint.header import CheckpointError
from models.language.chat_templates import SAID, ChatPage, ChatTemplate, TemplateOverrun, Turn
from models.language.text_encoder import PromptEncoder
from models.language.token_bytes import TokenBytes
from models.params.function_calls import ARGUMENTS, BEGIN, END

TENSOR = "words.tokenizer"  # a checkpoint's, that holds the tokenizer's JSON, byte by byte
CUT = 16  # tokens more that a text may have for being cut off in a word
PROBE = ({"role": "system", "content": "s"}, {"role": "user", "content": "u"})
ANSWERED = ({"role": "user", "content": "u"}, {"role": "assistant", "content": SAID})

SIGNED, CALLED = "probe_of_tools", f'{BEGIN}called_probe{ARGUMENTS}{{"a": 1}}{END}'
TOOLS = ({"type": "function", "function": {"name": SIGNED, "parameters": {"type": "object"}}},)
CALLING: tuple[Turn, ...] = (
    {"role": "user", "content": "u"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"type": "function", "function": {"name": "called_probe", "arguments": {"a": 1}}}
        ],
    },
    {"role": "tool", "content": SAID},
)


class TextTokens:
    """The words of a language model."""

    def __init__(self, config: LanguageTokenizer, tensors: Mapping[str, Tensor]) -> None:
        """Raises CheckpointError where they are no tokenizer, or their template is none."""
        try:
            self.spec = bytes(tensors[TENSOR].tolist()).decode()
            self._tokenizer = Tokenizer.from_str(self.spec)
            self._reader = PromptEncoder(self.spec)
            self._bytes = TokenBytes(json.loads(self.spec), self._tokenizer)
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"its words can't be used: {error!r}") from None
        except Exception as error:  # the tokenizer itself raises nothing narrower
            raise CheckpointError(f"its tokenizer can't be made: {error}") from None
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {
            x.content: Mark(i, x.lstrip, x.rstrip)
            for i, x in added.items()
            if not x.content.isspace()  # runs of spaces are but text
        }
        self._unsaid = {i: x.content for i, x in added.items() if x.special}
        self.ends = config.ends
        self._template = self._prepared(config.chat_template, config.marks)
        self.takes_system = self.chats and self._takes(PROBE)
        self.takes_tools = self.chats and self._writes_tools()

    def _prepared(self, source: str | None, marks: Mapping[str, str]) -> ChatTemplate | None:
        """The template, once it has been tried. Raises CheckpointError where it takes too much."""
        if source is None:
            return None
        template = ChatTemplate(source, self._special, marks)
        try:
            template.choose_form()
            self.ends |= self._end_of_turn(template)
        except TemplateOverrun as error:
            raise CheckpointError(f"its chat template can't be used: {error}") from None
        return template

    def _end_of_turn(self, template: ChatTemplate) -> set[int]:
        """The mark that the template writes after an answer, if it writes one."""
        try:
            page = template.page(ANSWERED, generation=False)
        except TemplateOverrun:
            raise
        except ValueError:
            return set()
        after = page.text.rfind(SAID) + len(SAID)
        bucket = next((bucket for bucket in page.spans if bucket[0] >= after), None)
        if bucket is None or SAID not in page.text or page.text[after : bucket[0]].strip():
            return set()
        return {self._special[page.text[slice(*bucket)]].number}

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    @property
    def chats(self) -> bool:
        """Whether it has been taught to answer."""
        return self._template is not None

    def of_text(self, text: str) -> list[int]:
        """A text as a model expects one to begin."""
        return self._reader.of_text(text)

    def of_chat(self, turns: Sequence[Turn]) -> list[int]:
        """A conversation, up to where the model is to answer.

        Raises ValueError for turns that the template refuses, such as two of one role.
        """
        return self.of_page(self.page(turns))

    def page(self, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]] = ()) -> ChatPage:
        """A conversation as the template renders it, with tools where it `takes_tools`. Raises
        ValueError as `of_chat`."""
        if self._template is None:
            raise ValueError("this model has no chat template: it only goes on from a text")
        try:
            return self._template.page(turns, tools=tools)
        except ValueError as error:
            raise ValueError(f"this model's chat template refuses it: {error}") from None

    def of_page(self, page: ChatPage) -> list[int]:
        """The tokens of a conversation that has been rendered."""
        tokens: list[int] = []
        begin, stripped = 0, False
        for start, end in page.spans:
            mark = self._special[page.text[start:end]]
            text = page.text[begin:start]
            text = text.lstrip() if stripped else text
            tokens += self._plain(text.rstrip() if mark.before else text, begin)
            tokens.append(mark.number)
            begin, stripped = end, mark.after
        text = page.text[begin:]
        return tokens + self._plain(text.lstrip() if stripped else text, begin)

    def more_than(self, count: int, text: str) -> bool:
        """Whether a text has surely more tokens, by as little of it as tells."""
        return self._reader.more_than(count, text, CUT)

    def _plain(self, text: str, position: int) -> list[int]:
        return self._reader.plain(text, begins=position == 0) if text else []

    def _takes(self, turns: Sequence[Turn]) -> bool:
        try:
            return bool(self.of_chat(turns))
        except ValueError:
            return False

    def _writes_tools(self) -> bool:
        """Whether the template tells of tools, and writes calls as `function_calls` does."""
        try:
            page = self.page(CALLING, TOOLS)
        except ValueError:
            return False
        return (
            page.text.count(CALLED) == 1
            and SAID in page.text.replace(CALLED, "")
            and SIGNED in page.text
        )

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say; half a letter at the end is U+FFFD, and marks say nothing."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True)

    def special(self, token: int) -> str:
        """What a special token is called, which is no part of a text; empty for other tokens."""
        return self._unsaid.get(token, "")

    def piece(self, token: int) -> str:
        """What a token says within a text, where it keeps the space that it may begin with."""
        before = self._reader.plain("a", begins=True)
        return self.text([*before, token])[len(self.text(before)) :]

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token adds to a text; a special token adds none."""
        own = self._bytes.own_bytes(token)  # to read a piece takes ten times as long
        return self.piece(token).encode() if own is None else own

    def whole_piece(self, token: int) -> str | None:
        """What a token says within a text; None if it is special, or no whole letters."""
        if token in self._unsaid:
            return None
        try:
            return self.bytes_of(token).decode()
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class Mark:
    """A token that a template writes, and on which sides of it spaces are dropped."""

    number: int
    before: bool
    after: bool


def tensor_of(tokenizer: str) -> Tensor:
    """What a checkpoint holds of a tokenizer's JSON."""
    return torch.tensor(list(tokenizer.encode()), dtype=torch.uint8)
