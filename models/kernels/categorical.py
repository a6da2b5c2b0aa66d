"""Draws a class from logits by a temperature, a top_p and one uniform number a row."""

import torch
from torch import Tensor


def draw(logits: Tensor, u: Tensor, temperature: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    """Classes (B,) of logits (B, classes), as `Draws` says, and whether there was one to draw.

    Where logits, temperature or uniform are no numbers, it is class 0, and there was none.
    +inf is none either; -inf is never drawn.
    """
    p = torch.softmax(logits / temperature[:, None], 1)
    ranked = p.sort(1, descending=True).values
    short = (ranked.cumsum(1) < top_p[:, None]).sum(1, keepdim=True)  # those before the last kept
    least = ranked.gather(1, short.clamp(max=p.shape[1] - 1))
    kept = torch.where((p >= least) | (top_p[:, None] >= 1), p, 0.0)
    passed = kept.cumsum(1)
    total = passed[:, -1]
    last_kept = p.shape[1] - 1 - (kept > 0).flip(1).byte().argmax(1)
    number = (passed <= (u * total)[:, None]).sum(1).minimum(last_kept)
    sound = (total > 0) & ~u.isnan()
    return torch.where(sound, number, 0), sound
