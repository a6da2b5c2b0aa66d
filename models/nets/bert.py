"""A BERT encoder with mean pooling: tokens of texts to vectors of length 1."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nets.activations import gelu


class BertLayer(nn.Module):
    """Attention among all tokens, then two dense layers, each with its norm after it."""

    def __init__(self, dimensions: int, heads: int, inner: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dimensions, 3 * dimensions)
        self.out = nn.Linear(dimensions, dimensions)
        self.attention_norm = nn.LayerNorm(dimensions, eps)
        self.expand = nn.Linear(dimensions, inner)
        self.reduce = nn.Linear(inner, dimensions)
        self.norm = nn.LayerNorm(dimensions, eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # (B, L, D), (B, 1, 1, L)
        batch, length, dimensions = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, D / heads)
        h = F.scaled_dot_product_attention(q, k, v, mask.expand(-1, -1, length, -1))
        h = h.transpose(1, 2).reshape(batch, length, dimensions)
        x = self.attention_norm(x + self.out(h))
        y: Tensor = self.norm(x + self.reduce(gelu(self.expand(x))))
        return y


class BertEncoder(nn.Module):
    """BERT (Devlin et al. 2018, 1810.04805), whose states are averaged as in Sentence-BERT
    (Reimers and Gurevych 2019, 1908.10084, section 3).

    `positions` is the length of the longest text that it can read. The vector of the first
    segment, which every text is of, is a part of the positions' vectors.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a checkpoint's configuration
        self,
        vocabulary: int,
        dimensions: int,
        layers: int,
        heads: int,
        inner: int,
        positions: int,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        if dimensions % heads:
            raise ValueError(f"{dimensions} dimensions can't be split among {heads} heads")
        self.tokens = nn.Embedding(vocabulary, dimensions)
        self.positions = nn.Embedding(positions, dimensions)
        self.norm = nn.LayerNorm(dimensions, eps)
        self.layers = nn.ModuleList(BertLayer(dimensions, heads, inner, eps) for _ in range(layers))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Returns (B, D), of length 1. tokens (B, L); mask (B, L), 0, or -inf where a token only
        pads."""
        x = self.norm(self.tokens(tokens) + self.positions.weight[: tokens.shape[1]])
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        weights = torch.softmax(mask, dim=1)  # the same for each token that counts, else 0
        return F.normalize((weights[:, None, :] @ x)[:, 0], dim=1)
