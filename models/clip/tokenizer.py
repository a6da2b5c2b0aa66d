"""Words to rows of a small token table: open_clip's tokenizer, of whose tokens few are kept.

open_clip knows 49,408 tokens, whose vectors would weigh more than all else in a small model. Kept
are the bytes and the tokens of the words that a text tower has learnt; what is asked for in other
words is left out, and named, so that nobody wonders why it had no effect. A tower of open_clip's
own has `EveryWord`.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

PAD = 0
BYTES = 512  # open_clip's first tokens: every byte within a word and at its end
_HAN = re.compile(r"([㐀-鿿豈-﫿])")
_WORD = re.compile(r"[^\W\d_]+|\d|[^\s\w]+|_", re.UNICODE)


@dataclass(frozen=True)
class WordTokenizer:
    """The words a model knows. Row 0 pads; `kept` are open_clip's tokens of the rows after it; the
    two last rows begin and end a text."""

    kept: Tensor  # (rows - 3,) int32, rising
    known: frozenset[str]

    @classmethod
    def of(cls, known: Sequence[str], rows: int) -> "WordTokenizer":
        """Of so many rows: the bytes, then the tokens of these words, the first ones first.

        A word whose tokens find no room is not known. Raises ValueError if not all rows fill.
        """
        kept, taken = set(range(BYTES)), set()
        for word in known:
            tokens = set(_tokens_of(word))
            if len(kept | tokens) <= rows - 3:
                kept |= tokens
                taken.add(word)
        if len(kept) < rows - 3:
            raise ValueError(f"{len(known)} words have tokens for {len(kept) + 3} rows, not {rows}")
        return cls(torch.tensor(sorted(kept), dtype=torch.int32), frozenset(taken))

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "WordTokenizer":
        """From what `tensors` has made. Raises KeyError or ValueError if it is not there."""
        text = bytes(tensors["words.known"].tolist()).decode()
        return cls(tensors["words.kept"], frozenset(text.split("\n")))

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it."""
        text = "\n".join(sorted(self.known)).encode()
        return {"words.kept": self.kept, "words.known": torch.tensor(list(text), dtype=torch.uint8)}

    @property
    def rows(self) -> int:
        return len(self.kept) + 3

    @cached_property
    def _row_of(self) -> dict[int, int]:
        return {token: row for row, token in enumerate(self.kept.tolist(), 1)}

    def read_text(self, text: str, context: int) -> "TokenizedText":
        """The rows of a text, and which of its words were left out: unknown, or beyond the end."""
        rows: list[int] = []
        unknown: list[str] = []
        beyond: list[str] = []
        for word in words_in(text):
            rows_of_word = [self._row_of.get(token) for token in _tokens_of(word)]
            if word not in self.known or None in rows_of_word:
                unknown.append(word)
            elif beyond or len(rows) + len(rows_of_word) > context - 2:
                beyond.append(word)
            else:
                rows += [row for row in rows_of_word if row is not None]
        return TokenizedText([self.rows - 2, *rows, self.rows - 1], tuple(unknown), tuple(beyond))

    def table(self, texts: Sequence[str], context: int) -> Tensor:
        """Many texts at once: (N, context) int64, padded."""
        page = torch.full((len(texts), context), PAD, dtype=torch.int64)
        for index, text in enumerate(texts):
            rows = self.read_text(text, context).rows
            page[index, : len(rows)] = torch.tensor(rows)
        return page


class EveryWord:
    """All of open_clip's tokens by its own numbers, of which 0 pads as well: none is unknown."""

    rows = 49408

    def read_text(self, text: str, context: int) -> "TokenizedText":
        """As open_clip's tokenizer reads it: cut to the context, whatever stands there."""
        tokens = _tokenizer().encode(text)
        start, end = self.rows - 2, self.rows - 1
        beyond = _tokenizer().decode(tokens[context - 2 :]).strip() if tokens[context - 2 :] else ""
        return TokenizedText([start, *tokens[: context - 2], end], (), (beyond,) if beyond else ())


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """What a model reads of a text."""

    rows: list[int]
    unknown: tuple[str, ...]
    beyond: tuple[str, ...]


def notes_of(context: int, *texts: TokenizedText) -> tuple[str, ...]:
    """What should be noted of texts that one model has read: each unknown word once."""
    unknown = [word for text in texts for word in text.unknown]
    beyond = [word for text in texts for word in text.beyond]
    notes = [f"not understood: {word}" for word in dict.fromkeys(unknown)]
    if beyond:
        notes.append(f"beyond the {context} tokens that are read: {' '.join(beyond)}")
    return tuple(notes)


def words_in(text: str) -> list[str]:
    """Small letters, one Chinese character a word, digits alone, signs together."""
    plain = unicodedata.normalize("NFKC", html.unescape(text)).lower()
    return _WORD.findall(_HAN.sub(r" \1 ", plain))


@lru_cache(100_000)
def _tokens_of(word: str) -> tuple[int, ...]:
    return tuple(_tokenizer().encode(word))


@lru_cache(1)
def _tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()
