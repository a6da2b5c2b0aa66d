"""How unlikely a language model finds texts: the exponential of the mean surprise of a token."""

import math
from collections.abc import Sequence
from statistics import fmean

import torch

from models.artifacts import Text
from models.language.language import Language


def perplexity_of_written(texts: Sequence[Text]) -> float:
    """Returns the perplexity of texts to the model that wrote them, at least 1.

    The texts need log-probabilities (`logprobs` of the request), which the model gives before
    temperature, penalties and the constraint of a form.
    """
    chances = [drawn.chance.logprob for text in texts for drawn in text.drawn or ()]
    logprobs = [chance for chance in chances if chance is not None]
    if not logprobs:
        raise ValueError("no token has a log-probability")
    return math.exp(-fmean(logprobs))


def perplexity_of_read(model: Language, windows: Sequence[Sequence[int]]) -> float:
    """Returns the perplexity of rows of tokens, each read from its beginning, at least 1.

    The first token of a window is not predicted.
    """
    net, total, count = model.runtime.net, 0.0, 0
    with torch.inference_mode(), model.slots.take() as slot:
        slots = torch.tensor([slot.number])
        for window in windows:
            row = torch.tensor(window)
            for index, token in enumerate(row[:-1]):
                bucket = net.bucket(index + 1)[None]
                logits = net.logits(token[None], torch.tensor([index]), slots, bucket)
                total -= float(torch.log_softmax(logits[0], 0)[row[index + 1]])
            count += len(row) - 1
    if not count:
        raise ValueError("a window needs two tokens at least")
    return math.exp(total / count)
