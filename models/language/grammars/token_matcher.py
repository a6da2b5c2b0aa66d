"""Follows an answer token by token: says which tokens may come next, so that a grammar holds."""

from collections.abc import Set

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor


class GrammarFailed(ValueError):
    """A grammar that can't be followed: it is too complex, or no token keeps it."""


class GrammarTokenizer:
    """What matchers have to know of a model's tokens. Made once a model: it takes half a second."""

    def __init__(self, spec: str, ends: Set[int], vocabulary: int, tokens: int) -> None:
        """`spec` is the tokenizer's JSON, `ends` the tokens that end a text, `vocabulary` how many
        logits the net has, and `tokens` how many the tokenizer knows.

        Raises GrammarFailed for a kind of tokenizer that can't be followed.
        """
        self.vocabulary = vocabulary
        self.size = max(vocabulary, tokens)
        try:
            self.inner = LLTokenizer(spec, n_vocab=self.size, eos_token=sorted(ends) or None)
        except ValueError as error:
            raise GrammarFailed(str(error).splitlines()[0]) from None


class TokenMatcher:
    """An answer that is being written."""

    def __init__(self, tokenizer: GrammarTokenizer, grammar: str) -> None:
        """Raises GrammarFailed."""
        self._tokenizer = tokenizer
        self._matcher = LLMatcher(tokenizer.inner, grammar, log_level=0)
        self._bits = np.zeros(-(-tokenizer.size // 32), np.int32)
        self._check()

    @property
    def is_complete(self) -> bool:
        """Whether the answer has ended: no token but one that ends a text may follow."""
        return bool(self._matcher.is_stopped())

    def bias(self) -> Tensor:
        """(V,) float32, added to the logits: -inf for tokens that can't come, else 0.

        Raises GrammarFailed.
        """
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        allowed = np.unpackbits(self._bits.view(np.uint8), bitorder="little")
        allowed = allowed[: self._tokenizer.vocabulary]
        if not allowed.any():
            raise GrammarFailed("no token of this model goes on with it")
        return torch.from_numpy(np.where(allowed, np.float32(0), np.float32(-np.inf)))

    def add(self, token: int) -> None:
        """Takes the token that came, one of those that `bias` allows."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GrammarFailed(self._matcher.get_error().splitlines()[0])
