"""Text as it is written: tokens come in, and what is final of their text goes out.

1. Half a letter is held back: a token may end in the middle of its bytes.
2. What may be the beginning of a stop string is held back until it is one, or is none.
3. The pieces that went out, put together, are the text.
4. Special tokens are no part of the text, but stop strings are looked for in it as if they were.
"""

from collections.abc import Sequence
from itertools import compress

from models.language.tokenizer import TextTokens

HALF = "\ufffd"  # what bytes that are no whole letter decode to
BYTES = 4  # of a letter, at most
CONTEXT = 5  # tokens of a prompt that are decoded with the first new one: it may follow a space


class Detokenizer:
    """One text that is written after a prompt, up to the stop string that is complete first."""

    def __init__(self, tokenizer: TextTokens, prompt: Sequence[int], stops: Sequence[str]) -> None:
        self._tokenizer, self._letters, self._stops = tokenizer, Letters(tokenizer, prompt), stops
        self._withheld = ""
        self._shown: list[bool] = []  # of each letter that is held back: whether it is text
        self.text = ""  # what is final
        self.stop: str | None = None  # the stop string that is complete

    @property
    def stopped(self) -> bool:
        return self.stop is not None

    @property
    def letters(self) -> int:
        """That have been written, final or not."""
        return len(self.text) + sum(self._shown)

    def add(self, token: int) -> str:
        """What is final now and was not before."""
        return self._take(self._letters.add(token), self._tokenizer.special(token))

    def end(self, token: int | None = None) -> str:
        """What was held back, since no more comes; half a letter is left out. `token` is the one
        that ended it, if one did."""
        special = "" if token is None else self._tokenizer.special(token)
        piece = self._take(self._letters.rest(), special)
        pending = "".join(compress(self._withheld, self._shown))
        self._withheld, self._shown = "", []
        self.text += pending
        return piece + pending

    def _take(self, piece: str, special: str) -> str:
        pending = self._withheld + piece + special
        shown = self._shown + [True] * len(piece) + [False] * len(special)
        ends = [
            (at + len(stop), at, stop) for stop in self._stops if (at := pending.find(stop)) >= 0
        ]
        self.stop = min(ends)[2] if ends else None
        final = min(ends)[1] if ends else len(pending) - self._begun(pending)
        said = "".join(compress(pending[:final], shown))
        self._withheld, self._shown = ("", []) if ends else (pending[final:], shown[final:])
        self.text += said
        return said

    def _begun(self, pending: str) -> int:
        """Letters at the end that a stop string may begin with."""
        most = max((len(stop) for stop in self._stops), default=1) - 1
        lengths = range(min(most, len(pending)), 0, -1)
        return next((n for n in lengths if any(s.startswith(pending[-n:]) for s in self._stops)), 0)


class Letters:
    """Tokens to text, a whole letter at a time."""

    def __init__(self, tokenizer: TextTokens, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._tokens = list(prompt[-CONTEXT:])
        self._from, self._to = 0, len(self._tokens)  # what was decoded last, and is sent

    def add(self, token: int) -> str:
        self._tokens.append(token)
        before, now = self._decoded()
        if len(now) <= len(before) or (now.endswith(HALF) and self._may_be_half):
            return ""
        self._from, self._to = self._to, len(self._tokens)
        return now[len(before) :]

    def rest(self) -> str:
        """What is left, without half a letter."""
        before, now = self._decoded()
        return (now.rstrip(HALF) if self._may_be_half else now)[len(before) :]

    @property
    def _may_be_half(self) -> bool:
        """A letter has four bytes at most: what does not become one of four tokens never will."""
        return len(self._tokens) - self._to < BYTES

    def _decoded(self) -> tuple[str, str]:
        """The text up to what was told, and up to now, both from a little before."""
        tokens = self._tokens[self._from :]
        return self._tokenizer.text(tokens[: self._to - self._from]), self._tokenizer.text(tokens)
