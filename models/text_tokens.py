"""Texts to tokens and back, by the tokenizer and the chat template that a checkpoint brings.

What a user writes is text, whatever it looks like: a mark such as `<|im_end|>` in it is read as
its letters, never as the mark. So a chat is rendered with blanks for what was said, the template's
own marks are found in what stands around them, and only then are the blanks filled.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from tokenizers import Tokenizer
from torch import Tensor

from models.chat_templates import environment
from models.header import CheckpointError
from models.text_readers import Reader
from models.token_bytes import TokenBytes

TENSOR = "words.tokenizer"  # a checkpoint's, that holds the tokenizer's JSON, byte by byte
TOLD = {"chat_template", "ends", "marks"}
"""What a header tells of words: the template, the tokens that end a text, and names of marks."""
BLANK = "\u2003\ue000{number}\ue001\u2003"  # of Unicode's private use, between two wide spaces
_BLANK = re.compile("(\u2003?)\ue000(\\d+)\ue001(\u2003?)")
LETTERS_AT_ONCE = 2**13
CUT = 16  # tokens more that a text may have for being cut off in a word
PROBE = ({"role": "system", "content": "s"}, {"role": "user", "content": "u"})

Turn = Mapping[str, str]
"""A message: its role and content."""


class TextTokens:
    """The words of a language model."""

    def __init__(self, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Raises CheckpointError where they are no tokenizer, or their template is none."""
        if told.keys() != TOLD:
            raise CheckpointError(f"its words must have {', '.join(sorted(TOLD))} and nothing else")
        try:
            spelled = bytes(tensors[TENSOR].tolist()).decode()
            self._tokenizer = Tokenizer.from_str(spelled)
            self.ends = frozenset(int(end) for end in told["ends"])
            self._marks: dict[str, str] = dict(told["marks"])
            text = told["chat_template"]
            self._template = None if text is None else environment().from_string(text)
            self._reader = Reader(spelled)
            self._bytes = TokenBytes(json.loads(spelled), self._tokenizer)
        except (KeyError, TypeError, TemplateError) as error:
            raise CheckpointError(f"its words can't be used: {error!r}") from None
        except Exception as error:  # the tokenizer itself raises nothing narrower
            raise CheckpointError(f"its tokenizer can't be made: {error}") from None
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {x.content: Mark(i, x.lstrip, x.rstrip) for i, x in added.items()}
        longest = sorted(self._special, key=len, reverse=True)
        self._mark = re.compile("|".join(map(re.escape, longest)) or "(?!)")
        self.takes_system = self.chats and self._takes(PROBE)

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
        if self._template is None:
            raise ValueError("this model has no chat template: it only goes on from a text")
        blanks = [{**t, "content": BLANK.format(number=i)} for i, t in enumerate(turns)]
        told: dict[str, Any] = {"tools": None, "documents": None, **self._marks}
        try:
            page = self._template.render(messages=blanks, add_generation_prompt=True, **told)
        except Exception as error:  # it is a program of the checkpoint's
            raise ValueError(f"this model's chat template refuses it: {error}") from None
        said = [turn["content"] for turn in turns]
        tokens: list[int] = []
        start, stripped = 0, False
        for found in self._mark.finditer(page):
            mark = self._special[found[0]]
            text = _filled(page[start : found.start()], said)
            text = text.lstrip() if stripped else text
            tokens += self._plain(text.rstrip() if mark.before else text, start)
            tokens.append(mark.number)
            start, stripped = found.end(), mark.after
        text = _filled(page[start:], said)
        return tokens + self._plain(text.lstrip() if stripped else text, start)

    def more_than(self, count: int, text: str) -> bool:
        """Whether a text has surely more tokens, by as little of it as tells: to read a megabyte
        takes a second."""
        length = LETTERS_AT_ONCE
        while length < len(text):
            if len(self._reader.plain(text[:length], begins=True)) > count + CUT:
                return True
            length *= 2
        return False

    def _plain(self, text: str, place: int) -> list[int]:
        return self._reader.plain(text, begins=place == 0) if text else []

    def _takes(self, turns: Sequence[Turn]) -> bool:
        try:
            return bool(self.of_chat(turns))
        except ValueError:
            return False

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say; half a letter at the end is U+FFFD, and marks say nothing."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True)

    def piece(self, token: int) -> str:
        """What a token says within a text, where it keeps the space that it may begin with."""
        before = self._reader.plain("a", begins=True)
        return self.text([*before, token])[len(self.text(before)) :]

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token adds to a text; a special token adds none."""
        return self._bytes.bytes_of(token, self.piece(token))


@dataclass(frozen=True, slots=True)
class Mark:
    """A token that a template writes, and on which sides of it spaces are dropped."""

    number: int
    before: bool
    after: bool


def _filled(page: str, said: Sequence[str]) -> str:
    """With what was said in the blanks, trimmed where the template has trimmed the blank."""

    def text(blank: re.Match[str]) -> str:
        one = said[int(blank[2])]
        one = one if blank[1] else one.lstrip()
        return one if blank[3] else one.rstrip()

    return _BLANK.sub(text, page)


def tensor_of(tokenizer: str) -> Tensor:
    """What a checkpoint holds of a tokenizer's JSON."""
    return torch.tensor(list(tokenizer.encode()), dtype=torch.uint8)
