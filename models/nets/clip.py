"""A pair of towers, for pictures and for words, as open_clip builds them from a configuration."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nets.activations import make_even


def build_clip(**config: Any) -> nn.Module:
    """open_clip's CustomTextCLIP of an open_clip configuration (embed_dim, vision_cfg, text_cfg).

    Raises TypeError or ValueError for a configuration that open_clip refuses.
    """
    from open_clip.model import CustomTextCLIP

    try:
        built: nn.Module = CustomTextCLIP(**config)
    except (AssertionError, AttributeError, KeyError, ZeroDivisionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    make_even(built)
    return built


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """What a text tower makes of texts."""

    states: Tensor  # (B, L, width), one a token, each of what stands before it and itself
    pooled: Tensor  # (B, embed_dim), of length 1


def tell(net: Any, tokens: Tensor) -> TextFeatures:
    """Both outputs of the text tower for tokens (B, L), L at most its context length.

    open_clip's own `encode_text` wants every text as long as the context, and keeps the states to
    itself; short texts cost a fraction here, and are told alike where no token sees those after it
    (a tower without a mask must be given its whole context). The highest token ends a text, as in
    open_clip.
    """
    text, length = net.text, tokens.shape[1]
    mask = None if text.attn_mask is None else text.attn_mask[:length, :length]
    x = text.token_embedding(tokens) + text.positional_embedding[:length]
    x = text.ln_final(text.transformer(x, attn_mask=mask))
    ends = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
    return TextFeatures(x, F.normalize((ends @ text.text_projection).float(), dim=1))


PLAIN = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Sight:
    """How an image tower was shown its pictures: values in [0, 1], less a mean, by a deviation."""

    mean: tuple[float, ...] = PLAIN
    std: tuple[float, ...] = PLAIN
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    def brought(self, pictures: Tensor, side: int) -> Tensor:
        """Pictures (B, C, H, W), C 1 or 3, in colour and `side` pixels on their shorter edge."""
        if pictures.shape[1] == 1:
            pictures = pictures.expand(-1, 3, -1, -1)
        high, wide = pictures.shape[2:]
        if min(high, wide) == side:
            return pictures
        size = [max(side, round(length * side / min(high, wide))) for length in (high, wide)]
        return F.interpolate(
            pictures, size, mode=self.interpolation, antialias=True, align_corners=False
        )

    def normalized(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1], as the tower takes them; by the defaults they stay."""
        if self.mean == self.std == PLAIN:
            return pictures
        mean, std = (pictures.new_tensor(x)[:, None, None] for x in (self.mean, self.std))
        return ((pictures + 1) / 2 - mean) / std


def see(net: Any, pictures: Tensor, sight: Sight | None = None) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] -> (B, embed_dim), of length 1.

    Without a sight they are taken as they are, as our own towers are trained.
    """
    taken = pictures if sight is None else sight.normalized(pictures)
    return F.normalize(net.visual(taken).float(), dim=1)
