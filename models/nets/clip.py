"""A pair of towers, for pictures and for words, as open_clip builds them from a configuration."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def build_clip(**config: Any) -> nn.Module:
    """open_clip's CustomTextCLIP of an open_clip configuration (embed_dim, vision_cfg, text_cfg).

    Raises TypeError or ValueError for a configuration that open_clip refuses.
    """
    from open_clip.model import CustomTextCLIP

    built: nn.Module = CustomTextCLIP(**config)
    return built


@dataclass(frozen=True, slots=True)
class Told:
    """What a text tower makes of texts."""

    states: Tensor  # (B, L, width), one a token, each of what stands before it and itself
    pooled: Tensor  # (B, embed_dim), of length 1


def tell(net: Any, tokens: Tensor) -> Told:
    """Both outputs of the text tower for tokens (B, L), L at most its context length.

    open_clip's own `encode_text` wants every text as long as the context, and keeps the states to
    itself; short texts cost a fraction here. The highest token ends a text, as in open_clip.
    """
    text, length = net.text, tokens.shape[1]
    x = text.token_embedding(tokens) + text.positional_embedding[:length]
    x = text.ln_final(text.transformer(x, attn_mask=text.attn_mask[:length, :length]))
    ends = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
    return Told(x, F.normalize((ends @ text.text_projection).float(), dim=1))


def see(net: Any, pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] -> (B, embed_dim), of length 1."""
    return F.normalize(net.visual(pictures).float(), dim=1)
