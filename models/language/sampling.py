"""Which token comes next: by inverse CDF from one uniform a token, among those that may be drawn.

In this order, as transformers' generate has it: the repetition penalty on logits, the temperature,
then of the probabilities top_k, top_p of what that leaves, and min_p. Tokens as likely as the last
that is kept are kept as well.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from models.params.text import LanguageParams
from models.params.token_sampling import LIKELIEST

HEAD = 512  # tokens that are ranked first: they nearly always reach top_p
COLDEST = 1e-4  # a temperature below takes the likeliest, as there is nothing else to draw

Choice = tuple[Tensor, Tensor, Tensor, Tensor]
"""A token, its log-probability, and the LIKELIEST tokens with theirs.

Log-probabilities are of the model's own distribution, and 0 where nobody asked. One that is no
number says that there was no token to draw.
"""


class SamplingParams(NamedTuple):
    """How one token is drawn."""

    penalty: float
    temperature: float
    top_k: float  # 0 is all
    top_p: float
    min_p: float
    with_logprobs: float  # whether log-probabilities are asked for
    uniform: float  # in [0, 1)


def sampling_row(params: LanguageParams, uniform: Tensor) -> Tensor:
    """A row of `SamplingParams`, float32."""
    with_logprobs = params.logprobs is not None
    heat = params.temperature if params.temperature >= COLDEST else 0.0
    top_k = params.top_k or 0
    fixed = (params.repetition_penalty, heat, top_k, params.top_p, params.min_p, with_logprobs)
    return torch.cat([torch.tensor(fixed, dtype=torch.float32), uniform.reshape(1)])


Draw = Callable[[Tensor, Tensor, SamplingParams], tuple[Tensor, Tensor]]
"""From logits (V,), tokens seen (V,) and params: a token, and whether there was one to draw."""


def choose(
    logits: Tensor,
    seen: Iterable[Tensor],
    rows: Tensor,
    draw: Draw | None = None,
    bias: Tensor | None = None,
) -> Choice:
    """Of logits (B, V), tokens seen before (B, V) and sampling rows (B, 7): a choice a row.

    `bias` (B, V) is added to the logits of the draw; -inf forbids a token. Log-probabilities stay
    those of the logits.
    """
    logits = logits.float()
    turned = [SamplingParams(*row) for row in rows.tolist()]
    biased = logits if bias is None else logits + bias
    drawing = draw or drawn
    each = [_choose(*row, drawing) for row in zip(logits, biased, seen, turned, strict=True)]
    token, chance, likeliest, chances = (torch.stack(x) for x in zip(*each, strict=True))
    return token, chance, likeliest, chances


def _choose(
    logits: Tensor, biased: Tensor, seen: Tensor, turned: SamplingParams, draw: Draw
) -> Choice:
    token, sound = draw(biased, seen, turned)
    if not turned.with_logprobs:
        none = torch.zeros(LIKELIEST, device=logits.device)
        return token, torch.where(sound, 0.0, torch.nan), none.long(), none
    chances = torch.log_softmax(logits, 0)
    top = chances.topk(min(LIKELIEST, len(chances)))
    spare = LIKELIEST - len(top.values)
    likeliest = torch.nn.functional.pad(top.indices, (0, spare))
    ranked = torch.nn.functional.pad(top.values, (0, spare), value=-torch.inf)
    return token, torch.where(sound, chances[token], torch.nan), likeliest, ranked


def _penalised(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Keskar et al. 2019 (1909.05858), section 4.1, for logits of either sign."""
    if penalty == 1:
        return logits
    less = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, less, logits)


def drawn(logits: Tensor, seen: Tensor, turned: SamplingParams) -> tuple[Tensor, Tensor]:
    """A `Draw`, on any device."""
    logits = _penalised(logits, seen, turned.penalty)
    if turned.temperature == 0:
        return logits.argmax(), ~logits.isnan().any() & (logits.max() < torch.inf)
    p = torch.softmax(logits / turned.temperature, 0)
    kept = torch.where(p >= _least(p, turned), p, 0.0)
    passed = kept.cumsum(0, dtype=torch.float64)
    total = passed[-1]
    last = len(p) - 1 - (kept > 0).flip(0).byte().argmax()
    number = (passed <= turned.uniform * total).sum().minimum(last)
    sound = (total > 0) & (turned.temperature > 0 and not math.isnan(turned.uniform))
    return torch.where(sound, number, 0), sound


def _least(p: Tensor, turned: SamplingParams) -> Tensor:
    """How likely a token must be at least, to be drawn."""
    least = turned.min_p * p.max()
    if turned.top_k >= 1:
        kth = p.topk(min(int(turned.top_k), len(p))).values[-1]
        least = least.maximum(kth)
        p = torch.where(p >= kth, p, 0.0)
    if turned.top_p < 1:
        least = least.maximum(_nucleus(p, turned.top_p))
    return least


def _nucleus(p: Tensor, top_p: float) -> Tensor:
    """The chance of the last of the likeliest that together reach a part of all."""
    wanted = top_p * p.sum(dtype=torch.float64)
    for count in (min(HEAD, len(p)), len(p)):
        ranked = p.topk(count).values
        reached = ranked.cumsum(0, dtype=torch.float64)
        if reached[-1] >= wanted:
            break
    short = (reached < wanted).sum().clamp(max=len(ranked) - 1)
    return ranked[short]
