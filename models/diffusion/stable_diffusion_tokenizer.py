"""Prompts to CLIP's tokens, by transformers' tokenizer and the words that a checkpoint brings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.checkpoint.header import CheckpointError

MARKS = ("bos_token", "eos_token", "unk_token", "pad_token")
"""Tokens with a meaning of their own, by the names that a tokenizer's configuration gives them."""


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """What a model reads of a prompt, and the words that it doesn't come to."""

    tokens: Tensor  # (context,) int64
    beyond: str


class PromptTokenizer:
    """The words of a checkpoint."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer, self.context = tokenizer, context
        self.tokens: int = len(tokenizer)

    @staticmethod
    def of(
        marks: Mapping[str, Any], tensors: Mapping[str, Tensor], context: int
    ) -> "PromptTokenizer":
        """Of a header's configuration and the tensors that `tensors_of` made.

        Raises CheckpointError where they are no tokenizer.
        """
        from transformers import CLIPTokenizer

        own = {name for name in tensors if name.startswith("tokenizer.")}
        if own != {"tokenizer.vocab", "tokenizer.merges"}:
            raise CheckpointError("it must have tokenizer.vocab and tokenizer.merges")
        if marks.keys() - {*MARKS}:
            raise CheckpointError(f"its tokenizer must have {', '.join(MARKS)} and nothing else")
        try:
            vocab = json.loads(_text(tensors["tokenizer.vocab"]))
            lines = _text(tensors["tokenizer.merges"]).split("\n")
            merges: Any = [tuple(x.split(" ")) for x in lines if x and not x.startswith("#version")]
            tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, **marks)
        except Exception as error:  # the tokenizer itself raises nothing narrower
            raise CheckpointError(f"its tokenizer can't be made: {error}") from None
        if len(tokenizer) != len(vocab):
            raise CheckpointError("its tokenizer's marks are not among its words")
        return PromptTokenizer(tokenizer, context)

    def encode(self, text: str) -> TokenizedPrompt:
        """As `StableDiffusionPipeline` does: cut and padded to the context."""
        rows = self._tokenizer(text, verbose=False).input_ids
        beyond = ""
        if len(rows) > self.context:
            beyond = self._tokenizer.decode(rows[self.context - 1 : -1])
            rows = [*rows[: self.context - 1], rows[-1]]
        page = torch.full((self.context,), self._tokenizer.pad_token_id)
        page[: len(rows)] = torch.tensor(rows)
        return TokenizedPrompt(page, beyond)


def tensors_of(vocab: Mapping[str, int], merges: str) -> dict[str, Tensor]:
    """What a checkpoint holds of a tokenizer: vocab.json and merges.txt, as bytes."""
    text = json.dumps(vocab, ensure_ascii=False, sort_keys=True)
    return {"tokenizer.vocab": _bytes(text), "tokenizer.merges": _bytes(merges)}


def _bytes(text: str) -> Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def _text(tensor: Tensor) -> str:
    return bytes(tensor.numpy()).decode()
