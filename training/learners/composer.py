"""Trains a composer: each token of a score from those before it, on crops in other keys."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.music.composer import Composer
from models.music.composition import FACTS
from models.music.tokenizer import MusicTokens
from models.nets.composer import ComposerModel as Net
from models.params.audio import ComposerParams
from models.score import Score
from training.data.music.score_columns import cropped, transposed
from training.generate import generate_items
from training.learners.standard import Objective
from training.loop.state import state_on_cpu
from training.metrics.music.ngrams import bigram_bits, unigram_bits
from training.metrics.music.roll_images import roll_pictures
from training.optim.amp import mixed
from training.recipe import Batch, Data

CPU = torch.device("cpu")
BIT = math.log(2)  # in nats
PAD = 0


@dataclass(frozen=True, slots=True)
class ComposerSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    crop: int = 2048  # tokens that are learnt from at a time
    rate: float = 1e-3
    weight_decay: float = 0.1
    warmup: int = 100
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.998  # of the average
    key_dropout: float = 0.1  # pieces whose key is hidden: files often have none
    token_dropout: float = 0.1  # tokens that are not seen: of some styles there are few pieces
    shown: float = 2.0  # seconds of a piece on a sheet
    seed: int = 0


class ComposerObjective(Objective[Net]):
    """Cross-entropy of every token, in bits; each piece weighs the same, however long it is.

    Columns: tokens (N, longest) int16, whole pieces padded with 0, and styles (N,) int64.
    """

    settings: ComposerSettings
    betas = (0.9, 0.95)

    def __init__(self, card: Header, settings: ComposerSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        rng = torch.Generator().manual_seed(settings.seed)
        self.net = drawn(Net(**config), rng).to(device)
        self.tokenizer, self.card = MusicTokens(card.labels), card
        self.settings, self.device, self.max_norm = settings, device, settings.clip

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        whole = transposed(self.tokenizer, batch[0].long(), rng)
        tokens = cropped(self.tokenizer, whole, self.settings.crop, rng)
        tokens = self.without_some_keys(tokens, rng)
        hidden = torch.rand(tokens.shape, generator=rng) < self.settings.token_dropout
        seen, target = (t.to(self.device) for t in (tokens.masked_fill(hidden, PAD), tokens))
        facts = facts_at(self.tokenizer, target)
        with mixed(self.device):
            logits = self.net(seen[:, :-1], facts[:, :-1])
        bits, counted = bits_of(logits, target[:, 1:])
        return (bits.sum(1) / counted.sum(1)).mean(), {}

    def without_some_keys(self, tokens: Tensor, rng: torch.Generator) -> Tensor:
        """Replaces the key of some pieces by the token for an unknown key."""
        hidden = torch.rand(len(tokens), generator=rng) < self.settings.key_dropout
        column = FACTS.index("key")
        unknown = self.tokenizer.token("key", 0)
        tokens[:, column] = torch.where(hidden, unknown, tokens[:, column])
        return tokens

    def sample(self, net: Net, rows: int, rng: torch.Generator) -> Tensor:
        """Returns the first seconds of pieces as piano rolls, styles in turn: (rows, 1, 64, 64)."""
        model = Composer(Checkpoint(self.card, state_on_cpu(net), ""), Placement(CPU))
        labels = self.card.labels
        requests = [
            ComposerParams(style=labels[row % len(labels)], seconds=self.settings.shown)
            for row in range(rows)
        ]
        seed = int(torch.randint(2**31, (), generator=rng))
        scores = generate_items(model, requests, seed, CPU, Score)
        return roll_pictures(scores, self.settings.shown)


@torch.no_grad()
def drawn(net: Net, rng: torch.Generator) -> Net:
    """Weights as GPT-2 begins with (Radford et al. 2019): normal with a deviation of 0.02, what is
    added to the stream the less the more layers add to it."""
    for name, weight in net.named_parameters():
        if weight.ndim > 1:
            adds = name.endswith(("give.weight", "close.weight"))
            spread = 0.02 / math.sqrt(2 * net.layers) if adds else 0.02
            weight.copy_(torch.randn(weight.shape, generator=rng) * spread)
    return net


def facts_at(tokenizer: MusicTokens, tokens: Tensor) -> Tensor:
    """Returns what the prefix says of a piece, up to each of its tokens: (B, T, facts)."""
    count = tokens.shape[1]
    facts = []
    for index, kind in enumerate(FACTS):
        value = tokens[:, index] - tokenizer.first[kind] + (kind != "key")
        known = torch.arange(count, device=tokens.device) >= index
        facts.append(torch.where(known, value[:, None], 0))
    return torch.stack(facts, 2)


def bits_of(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Bits of each token, 0 where a row is only filled up, and whether it counts: (B, T) both."""
    counted = wanted != PAD
    nats = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    return nats.view_as(wanted) / BIT * counted, counted


@torch.inference_mode()
def measure_composer(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """Bits a token over the held-out pieces, prefix aside: of all tokens, by style, and what counts
    of tokens and of pairs alone would cost."""
    config: dict[str, Any] = dict(card.net)
    net, tokenizer = Net(**config).eval(), MusicTokens(card.labels)
    net.load_state_dict({k: v.float() for k, v in weights.items()})
    bits, count = torch.zeros(len(card.labels)), torch.zeros(len(card.labels))
    for row, style in zip(*data.test, strict=True):
        tokens = row[: int((row != PAD).sum())].long()[None]
        logits = net(tokens[:, :-1], facts_at(tokenizer, tokens[:, :-1]))
        own, counted = bits_of(logits, tokens[:, 1:])
        bits[style] += own[:, len(FACTS) - 1 :].sum()
        count[style] += counted[:, len(FACTS) - 1 :].sum()
    by_style = (bits / count.clamp(min=1)).tolist()
    train, test = (columns[0].numpy() for columns in (data.train, data.test))
    figures: dict[str, JsonValue] = {
        "test_bits": round((bits.sum() / count.sum()).item(), 4),
        "test_bits_uniform": round(math.log2(tokenizer.size), 4),
        "test_bits_unigram": round(unigram_bits(train, test, tokenizer.size, len(FACTS)), 4),
        "test_bits_bigram": round(bigram_bits(train, test, tokenizer.size, len(FACTS)), 4),
    }
    for style, value in zip(card.labels, by_style, strict=True):
        figures[f"test_bits_{style}"] = round(value, 4)
    return figures
