"""Training of a composer: each token of a score from those before it, on crops in other keys."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor, nn
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
from training.loop.state import Kept, state_of, take_back
from training.loop.warm_start import begin_average
from training.metrics.ngrams import bigram_bits, unigram_bits
from training.metrics.notation import roll_pictures
from training.optim.amp import mixed
from training.optim.ema import Average
from training.optim.schedules import set_rate, warm_cosine
from training.recipe import Batch, Data

CPU = torch.device("cpu")
BIT = math.log(2)  # in nats
PAD = 0


@dataclass(frozen=True, slots=True)
class ComposingSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    crop: int = 2048  # tokens that are learnt from at a time
    rate: float = 1e-3
    weight_decay: float = 0.1
    warmup: int = 100
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.998  # of the average
    key_dropout: float = 0.1  # pieces whose key is not told: files often have none
    token_dropout: float = 0.1  # tokens that are not seen: of some styles there are few pieces
    shown: float = 2.0  # seconds of a piece on a sheet
    seed: int = 0


class ComposingLearner:
    """Cross-entropy of every token, in bits; each piece counts alike, however long it is.

    Columns: tokens (N, longest) int16, whole pieces filled up with 0, and styles (N,) int64.
    """

    def __init__(self, card: Header, settings: ComposingSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        rng = torch.Generator().manual_seed(settings.seed)
        self.net = drawn(Net(**config), rng).to(device)
        self.words, self.card = MusicTokens(card.labels), card
        self.settings, self.device, self.steps = settings, device, 0
        self.average = Average(self.net, settings.decay)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(),
            settings.rate,
            betas=(0.9, 0.95),
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        whole = transposed(self.words, batch[0].long(), rng)
        tokens = cropped(self.words, whole, self.settings.crop, rng)
        tokens = self._told(tokens, rng)
        hidden = torch.rand(tokens.shape, generator=rng) < self.settings.token_dropout
        read, wanted = (t.to(self.device) for t in (tokens.masked_fill(hidden, PAD), tokens))
        facts = facts_at(self.words, wanted)
        with mixed(self.device):
            logits = self.net(read[:, :-1], facts[:, :-1])
        bits, counted = bits_of(logits, wanted[:, 1:])
        loss = (bits.sum(1) / counted.sum(1)).mean()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        factor = warm_cosine(self.steps, self.settings.steps, self.settings.warmup)
        set_rate(self.optimiser, self.settings.rate * factor)
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        told, length = torch.stack([loss.detach(), norm]).tolist()  # waited for once
        return {"loss": told, "norm": length}

    def _told(self, tokens: Tensor, rng: torch.Generator) -> Tensor:
        """The key of some pieces is unknown."""
        hidden = torch.rand(len(tokens), generator=rng) < self.settings.key_dropout
        place = FACTS.index("key")
        unknown = self.words.token("key", 0)
        tokens[:, place] = torch.where(hidden, unknown, tokens[:, place])
        return tokens

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """How pieces begin, styles in turn, as rolls: (rows, 1, 64, 64)."""
        model = Composer(Checkpoint(self.card, self.weights(), ""), Placement(CPU))
        labels = self.card.labels
        requests = [
            ComposerParams(style=labels[row % len(labels)], seconds=self.settings.shown)
            for row in range(rows)
        ]
        seed = int(torch.randint(2**31, (), generator=rng))
        scores = generate_items(model, requests, seed, CPU, Score)
        return roll_pictures(scores, self.settings.shown)

    def weights(self) -> dict[str, Tensor]:
        return {k: v.contiguous().cpu() for k, v in self.average.net.state_dict().items()}

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        begin_average(self.net, self.average, weights)

    def state(self) -> dict[str, Any]:
        return state_of(self.steps, self._parts())

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = take_back(state, self._parts())

    def _parts(self) -> dict[str, Kept]:
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser}


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


def facts_at(words: MusicTokens, tokens: Tensor) -> Tensor:
    """What is known of a piece at each of its tokens, (B, T, facts): what the prefix has told."""
    count = tokens.shape[1]
    facts = []
    for place, kind in enumerate(FACTS):
        value = tokens[:, place] - words.first[kind] + (kind != "key")
        known = torch.arange(count, device=tokens.device) >= place
        facts.append(torch.where(known, value[:, None], 0))
    return torch.stack(facts, 2)


def bits_of(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Bits of each token, 0 where a row is only filled up, and whether it counts: (B, T) both."""
    counted = wanted != PAD
    nats = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none")
    return nats.view_as(wanted) / BIT * counted, counted


@torch.inference_mode()
def measure_composing(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """Bits a token over the held-out pieces, prefix aside: of all tokens, by style, and what counts
    of tokens and of pairs alone would cost."""
    config: dict[str, Any] = dict(card.net)
    net, words = Net(**config).eval(), MusicTokens(card.labels)
    net.load_state_dict({k: v.float() for k, v in weights.items()})
    bits, count = torch.zeros(len(card.labels)), torch.zeros(len(card.labels))
    for row, style in zip(*data.test, strict=True):
        tokens = row[: int((row != PAD).sum())].long()[None]
        logits = net(tokens[:, :-1], facts_at(words, tokens[:, :-1]))
        own, counted = bits_of(logits, tokens[:, 1:])
        bits[style] += own[:, len(FACTS) - 1 :].sum()
        count[style] += counted[:, len(FACTS) - 1 :].sum()
    by_style = (bits / count.clamp(min=1)).tolist()
    train, test = (part[0].numpy() for part in (data.train, data.test))
    figures: dict[str, JsonValue] = {
        "test_bits": round((bits.sum() / count.sum()).item(), 4),
        "test_bits_uniform": round(math.log2(words.size), 4),
        "test_bits_unigram": round(unigram_bits(train, test, words.size, len(FACTS)), 4),
        "test_bits_bigram": round(bigram_bits(train, test, words.size, len(FACTS)), 4),
    }
    for style, value in zip(card.labels, by_style, strict=True):
        figures[f"test_bits_{style}"] = round(value, 4)
    return figures
