"""A user's text to tokens: as its letters, whatever marks it looks like.

A tokenizer reads its own marks wherever they stand, the template's and a user's alike. So here is
one that knows none of them, and what it reads as one nevertheless is cut in two.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer

LETTERS_AT_ONCE = 2**13


class PromptEncoder:
    """Reads by a tokenizer as it is spelled out in JSON. Raises what that raises of one that is
    none."""

    def __init__(self, spelled: str) -> None:
        spec = json.loads(spelled)
        for token in spec["added_tokens"]:
            token["special"] = not token["content"].isspace()  # runs of spaces are but text
        self._first = _tokenizer(spec)
        self._marks = {x["content"]: x["id"] for x in spec["added_tokens"] if x["special"]}
        self._never = set(self._marks.values()) - {_unknown(spec["model"], self._first)}
        self._later = _tokenizer(_unspaced(spec, {"first"}))
        self._within = _tokenizer(_unspaced(spec, {"first", "always"}))
        self._before, self._after = self._framing()

    def of_text(self, text: str) -> list[int]:
        """A text as a model expects one to begin."""
        return [*self._before, *self.plain(text, begins=True), *self._after]

    def plain(self, text: str, begins: bool) -> list[int]:
        """A text, or a part of one that something stands before."""
        tokenizer = self._first if begins else self._later
        tokens = list(tokenizer.encode(text, add_special_tokens=False).ids)
        if self._never.isdisjoint(tokens):
            return tokens
        marks = sorted(self._marks, key=len, reverse=True)
        cut = re.split(
            "|".join(f"(?<={re.escape(m[0])})(?={re.escape(m[1:])})" for m in marks), text
        )
        ways = [tokenizer, *[self._within] * (len(cut) - 1)]
        read = zip(ways, cut, strict=True)
        ids = [i for way, piece in read for i in way.encode(piece, add_special_tokens=False).ids]
        return [i for i in ids if i not in self._never]  # a mark of one letter says nothing

    def more_than(self, count: int, text: str, slack: int) -> bool:
        """Whether a text has surely more tokens, by as little of it as tells: to read a megabyte
        takes a second. A text that is cut off in a word has at most `slack` tokens more."""
        length = LETTERS_AT_ONCE
        while length < len(text):
            if len(self.plain(text[:length], begins=True)) > count + slack:
                return True
            length *= 2
        return False

    def _framing(self) -> tuple[list[int], list[int]]:
        """What the tokenizer puts before and after every text."""
        whole = list(self._first.encode("a", add_special_tokens=True).ids)
        inner = list(self._first.encode("a", add_special_tokens=False).ids)
        starts = range(len(whole) - len(inner) + 1)
        start = next((i for i in starts if whole[i : i + len(inner)] == inner), 0)
        return whole[:start], whole[start + len(inner) :]


def _tokenizer(spec: Any) -> Tokenizer:
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _unknown(model: Any, tokenizer: Tokenizer) -> int | None:
    """The token that stands for what a tokenizer doesn't know, if it has one."""
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    return None if model.get("unk_token") is None else tokenizer.token_to_id(model["unk_token"])


def _unspaced(spec: Any, schemes: set[str]) -> Any:
    """With no space put before a text where it would be by one of these schemes."""
    for step in _parts(spec):
        if step.get("type") == "Metaspace" and step.get("prepend_scheme") in schemes:
            step["prepend_scheme"] = "never"
    return spec


def _parts(spec: Any) -> Iterator[Any]:
    """The steps before the model, however deep they lie."""
    if isinstance(spec, dict):
        yield spec
        for key in ("pre_tokenizer", "pretokenizers"):
            yield from _parts(spec.get(key))
    elif isinstance(spec, list):
        for one in spec:
            yield from _parts(one)
