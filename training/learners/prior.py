"""Training of a guess: what picture a text leads one to expect, by regression."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.unet import Guess
from training.components import part
from training.loop.state import Kept, state_of, take_back
from training.loop.warm_start import begin_average
from training.optim.ema import Average
from training.optim.init import embed_normal, initialise
from training.optim.schedules import set_rate, warm_cosine
from training.pretrained import FrozenTextTower, autoencoder_of_part, encoded
from training.recipe import Batch, Data

ROWS = 512  # texts read at once


@dataclass(frozen=True, slots=True)
class GuessSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 200
    decay: float = 0.999  # of the average
    text_dropout: float = 0.1
    style_dropout: float = 0.3
    seed: int = 0


class GuessLearner:
    """The mean of latents given a text and a set of emoji, either of them left out now and then.

    Batches: latents (B, C, H, W), set (B,), the vectors of each one's texts (B, texts, width), and
    of no text, (B, width).
    """

    def __init__(self, card: Header, settings: GuessSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        rng = torch.Generator().manual_seed(settings.seed)
        self.net = embed_normal(initialise(Guess(**config), rng), rng).to(device)
        self.settings, self.device, self.steps = settings, device, 0
        self.average = Average(self.net, settings.decay)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), settings.rate, weight_decay=settings.weight_decay, fused=True
        )
        self.none = self.net.label.num_embeddings - 1
        self.seen: tuple[Tensor, Tensor] = (torch.zeros(1, config["told"]), torch.zeros(1).long())

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        z0, style, vectors, empty = batch
        pick = torch.randint(vectors.shape[1], (len(z0),), generator=rng)
        pooled = vectors[torch.arange(len(z0)), pick]
        drop = torch.rand(2, len(z0), generator=rng)
        pooled = torch.where((drop[0] < self.settings.text_dropout)[:, None], empty, pooled)
        style = torch.where(drop[1] < self.settings.style_dropout, self.none, style)
        pooled, style = pooled.float().to(self.device), style.to(self.device)
        self.seen = (pooled, style)
        loss = F.mse_loss(self.net(pooled, style), z0.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        factor = warm_cosine(self.steps, self.settings.steps, self.settings.warmup)
        set_rate(self.optimiser, self.settings.rate * factor)
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        return {"loss": loss.item()}

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """What it expects of the texts that it learnt from last."""
        pooled, style = (column[:rows] for column in self.seen)
        net, _ = autoencoder_of_part(part("autoencoder-emoji"))
        pictures = net.decode(self.average.net(pooled, style).cpu())
        return pictures.add(1).div(2).clamp(0, 1)

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


def in_vectors(data: Data) -> Data:
    """Captioned pictures as latents, sets and the vectors of all their texts, on both parts."""
    net, _ = autoencoder_of_part(part("autoencoder-emoji"))
    reader = FrozenTextTower.of(part("clip-emoji"), torch.device("cpu"))
    return Data(_vectors(net, reader, data.train), _vectors(net, reader, data.test), data.labels)


def _vectors(net: Any, reader: FrozenTextTower, columns: Batch) -> Batch:
    pictures, _, style, short, long = columns
    context = max(short.shape[2], long.shape[2])
    texts = torch.cat([F.pad(t, (0, context - t.shape[2])) for t in (short, long)], 1)
    unique, place = torch.unique(texts.flatten(0, 1), dim=0, return_inverse=True)
    order = (unique != 0).sum(1).argsort()  # little padding
    told = torch.empty(len(unique), reader.net.text.output_dim)
    for part_of in torch.split(order, ROWS):
        rows = unique[part_of].long()
        told[part_of] = reader.read(rows[:, : int((rows != 0).sum(1).max())]).pooled
    vectors = told.half()[place].view(*texts.shape[:2], -1)
    empty = reader.read(reader.words.table([""], 2)).pooled
    return (encoded(net, pictures), style, vectors, empty.expand(len(style), -1).contiguous())


def measure_guess(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, Any]:
    """Mean squared error of latents, whose variance is 1: of pictures learnt from, and of those
    held out, told their first text and their set, and told nothing."""
    config: dict[str, Any] = dict(card.net)
    net = Guess(**config)
    net.load_state_dict({k: v.float() for k, v in weights.items()})
    figures: dict[str, Any] = {}
    for name, (z0, style, vectors, empty) in (("train", data.train), ("test", data.test)):
        none = torch.full_like(style, net.label.num_embeddings - 1)
        with torch.no_grad():
            told, free = net(vectors[:, 0].float(), style), net(empty, none)
        figures[f"{name}_error"] = round(F.mse_loss(told, z0).item(), 4)
        figures[f"{name}_error_untold"] = round(F.mse_loss(free, z0).item(), 4)
    return figures
