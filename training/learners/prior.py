"""Trains a prior: the latent that a text leads one to expect, by regression."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.autoencoder import Autoencoder
from models.nets.unet import Guess
from training.learners.clip import trimmed
from training.learners.standard import Objective
from training.optim.init import embed_normal, initialise
from training.pretrained import FrozenTextTower, encode_images, load_autoencoder, load_text_tower
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


class GuessObjective(Objective[Guess]):
    """The mean of latents given a text and a style, either of them dropped now and then.

    Columns: latents (B, C, H, W), styles (B,), the vectors of each row's texts (B, texts, width),
    and of the empty text, (B, width).
    """

    settings: GuessSettings

    def __init__(self, card: Header, settings: GuessSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        rng = torch.Generator().manual_seed(settings.seed)
        self.net = embed_normal(initialise(Guess(**config), rng), rng).to(device)
        self.settings, self.device = settings, device
        self.none = self.net.label.num_embeddings - 1
        self.last_batch = (torch.zeros(1, config["told"]), torch.zeros(1).long())

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        z0, style, vectors, empty = batch
        pick = torch.randint(vectors.shape[1], (len(z0),), generator=rng)
        pooled = vectors[torch.arange(len(z0)), pick]
        drop = torch.rand(2, len(z0), generator=rng)
        pooled = torch.where((drop[0] < self.settings.text_dropout)[:, None], empty, pooled)
        style = torch.where(drop[1] < self.settings.style_dropout, self.none, style)
        pooled, style = self.last_batch = pooled.float().to(self.device), style.to(self.device)
        return F.mse_loss(self.net(pooled, style), z0.to(self.device)), {}

    def sample(self, net: Guess, rows: int, rng: torch.Generator) -> Tensor:
        """Returns what the net expects of the texts of the last batch."""
        pooled, style = (column[:rows] for column in self.last_batch)
        autoencoder = load_autoencoder()
        images = autoencoder.decode(net(pooled, style).cpu())
        return images.add(1).div(2).clamp(0, 1)


def in_vectors(data: Data) -> Data:
    """Converts captioned images to latents, styles and the vectors of all their texts."""
    autoencoder = load_autoencoder()
    text_tower = load_text_tower(torch.device("cpu"))
    train, test = (
        _vectors(autoencoder, text_tower, columns) for columns in (data.train, data.test)
    )
    return Data(train, test, data.labels)


def _vectors(autoencoder: Autoencoder, text_tower: FrozenTextTower, columns: Batch) -> Batch:
    pictures, _, style, short, long = columns
    context = max(short.shape[2], long.shape[2])
    texts = torch.cat([F.pad(t, (0, context - t.shape[2])) for t in (short, long)], 1)
    unique, index = torch.unique(texts.flatten(0, 1), dim=0, return_inverse=True)
    order = (unique != 0).sum(1).argsort()  # little padding
    pooled = torch.empty(len(unique), text_tower.net.text.output_dim)
    for rows in torch.split(order, ROWS):
        pooled[rows] = text_tower.encode(trimmed(unique[rows])).pooled
    vectors = pooled.half()[index].view(*texts.shape[:2], -1)
    empty = text_tower.encode(text_tower.tokenizer.table([""], 2)).pooled
    latents = encode_images(autoencoder, pictures)
    return (latents, style, vectors, empty.expand(len(style), -1).contiguous())


def measure_guess(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, Any]:
    """Mean squared error of latents, whose variance is 1, of training and of held-out images:
    given their first text and their style, and given neither."""
    config: dict[str, Any] = dict(card.net)
    net = Guess(**config)
    net.load_state_dict({k: v.float() for k, v in weights.items()})
    figures: dict[str, Any] = {}
    for name, (z0, style, vectors, empty) in (("train", data.train), ("test", data.test)):
        none = torch.full_like(style, net.label.num_embeddings - 1)
        with torch.no_grad():
            cond, uncond = net(vectors[:, 0].float(), style), net(empty, none)
        figures[f"{name}_error"] = round(F.mse_loss(cond, z0).item(), 4)
        figures[f"{name}_error_untold"] = round(F.mse_loss(uncond, z0).item(), 4)
    return figures
