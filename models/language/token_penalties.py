"""OpenAI's penalties: what is added to a token's logit, by how often the text has it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.params.base import UnsupportedRequest
from models.params.text import LanguageParams


class TokenPenalties:
    """What a request adds to the logits of a vocabulary, before each token of its own text.

    For a token that the text has c times, that is its `logit_bias`, less c times
    `frequency_penalty`, less `presence_penalty` if c is at least 1. The tokens of the prompt don't
    count. The sum is computed anew each time, so a text's bits don't depend on how it was batched.
    """

    def __init__(self, params: LanguageParams, vocabulary: int) -> None:
        """Raises UnsupportedRequest for a token that is not in the vocabulary."""
        self._frequency, self._presence = params.frequency_penalty, params.presence_penalty
        self._vocabulary = vocabulary
        self._bias: Tensor | None = None
        if not params.logit_bias:
            return
        tokens = [int(name) for name in params.logit_bias]
        if max(tokens) >= vocabulary:
            why = f"has token {max(tokens)}; this model has tokens 0 to {vocabulary - 1}"
            raise UnsupportedRequest("logit_bias", why)
        self._bias = torch.zeros(vocabulary)
        self._bias[tokens] = torch.tensor([*params.logit_bias.values()], dtype=torch.float32)

    def added_to(self, bias: Tensor | None, text: Sequence[int]) -> Tensor | None:
        """Returns a bias (V,) with that of a text's next token; None is a bias of zeros."""
        if self._bias is not None:
            bias = self._bias if bias is None else bias + self._bias
        if not text or not (self._frequency or self._presence):
            return bias
        counts = torch.bincount(torch.tensor(text), minlength=self._vocabulary)
        penalty = counts * self._frequency + (counts > 0) * self._presence
        return -penalty if bias is None else bias - penalty
