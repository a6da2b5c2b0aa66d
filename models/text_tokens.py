"""Texts to tokens and back, by the tokenizer and the chat template that a checkpoint brings.

What a user writes is text, whatever it looks like: a mark such as `<|im_end|>` in it is read as
its letters, never as the mark. So a chat is rendered with blanks for what was said, the template's
own marks are found in what stands around them, and only then are the blanks filled.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer
from torch import Tensor

from models.header import CheckpointError

TENSOR = "words.tokenizer"  # a checkpoint's, that holds the tokenizer's JSON, byte by byte
TOLD = {"chat_template", "ends", "marks"}
"""What a header tells of words: the template, the tokens that end a text, and names of marks."""
BLANK = "\ue000{number}\ue001"  # of Unicode's private use
_BLANK = re.compile(r"\ue000(\d+)\ue001")

Turn = Mapping[str, str]
"""A message: its role and content."""


class TextTokens:
    """The words of a language model."""

    def __init__(self, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Raises CheckpointError where they are no tokenizer, or their template is none."""
        if told.keys() != TOLD:
            raise CheckpointError(f"its words must have {', '.join(sorted(TOLD))} and nothing else")
        try:
            self._tokenizer = Tokenizer.from_str(bytes(tensors[TENSOR].tolist()).decode())
            self.ends = frozenset(int(end) for end in told["ends"])
            self._marks: dict[str, str] = dict(told["marks"])
            text = told["chat_template"]
            self._template = None if text is None else _environment().from_string(text)
        except (KeyError, TypeError, TemplateError) as error:
            raise CheckpointError(f"its words can't be used: {error!r}") from None
        except Exception as error:  # the tokenizer itself raises nothing narrower
            raise CheckpointError(f"its tokenizer can't be made: {error}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True
        special = {x.content: i for i, x in self._tokenizer.get_added_tokens_decoder().items()}
        self._special = special
        longest = sorted(special, key=len, reverse=True)
        self._mark = re.compile("|".join(map(re.escape, longest)) or "(?!)")

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    @property
    def chats(self) -> bool:
        """Whether it has been taught to answer."""
        return self._template is not None

    def of_text(self, text: str) -> list[int]:
        """A text as a model expects one to begin."""
        return list(self._tokenizer.encode(text, add_special_tokens=True).ids)

    def of_chat(self, turns: Sequence[Turn]) -> list[int]:
        """A conversation, up to where the model is to answer.

        Raises ValueError for turns that the template refuses, such as two of one role.
        """
        if self._template is None:
            raise ValueError("this model has no chat template: it only goes on from a text")
        blanks = [{**t, "content": BLANK.format(number=i)} for i, t in enumerate(turns)]
        try:
            page = self._template.render(messages=blanks, add_generation_prompt=True, **self._marks)
        except TemplateError as error:
            raise ValueError(f"this model's chat template refuses it: {error}") from None
        said = [turn["content"] for turn in turns]
        tokens: list[int] = []
        start = 0
        for mark in self._mark.finditer(page):
            tokens += self._plain(page[start : mark.start()], said)
            tokens.append(self._special[mark[0]])
            start = mark.end()
        return tokens + self._plain(page[start:], said)

    def _plain(self, page: str, said: Sequence[str]) -> list[int]:
        text = _BLANK.sub(lambda blank: said[int(blank[1])], page)
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids) if text else []

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say; half a letter at the end is U+FFFD, and marks say nothing."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True)


def _environment() -> ImmutableSandboxedEnvironment:
    """As chat templates expect it; they are code of the checkpoint's, so it is a sandbox."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = lambda x, **_: json.dumps(x, ensure_ascii=False)
    made.globals["raise_exception"] = _refuse
    return made


def _refuse(message: str) -> None:
    raise TemplateError(message)


def tensor_of(tokenizer: str) -> Tensor:
    """What a checkpoint holds of a tokenizer's JSON."""
    return torch.tensor(list(tokenizer.encode()), dtype=torch.uint8)
