"""Trains an autoencoder with spatial latents."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.autoencoder import Autoencoder
from training.learners.standard import Objective
from training.metrics.image.psnr import psnr
from training.optim.amp import mixed
from training.optim.init import initialise
from training.optim.losses import edges_l1
from training.pretrained import ROWS, build_autoencoder, encode_images, normalize
from training.recipe import Batch, Data, TrainedWeights


@dataclass(frozen=True, slots=True)
class AutoencoderSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 100
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.998  # of the average
    gradient: float = 1.0  # weight of the differences between neighbouring pixels
    kl: float = 2e-3  # weight of the mean KL divergence of a latent's numbers
    seed: int = 0


class AutoencoderObjective(Objective[Autoencoder]):
    """L1 of pixels and of the differences between neighbours, which keep edges sharp without a
    critic of patches, and a little KL that keeps latents near N(0, 1)."""

    settings: AutoencoderSettings
    refusal = "an autoencoder can't begin from a checkpoint: its latents are measured at its end"

    def __init__(self, card: Header, settings: AutoencoderSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        net = initialise(Autoencoder(**config), torch.Generator().manual_seed(settings.seed))
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.settings, self.device, self.max_norm = settings, device, settings.clip
        self.last_batch = torch.zeros(1, config["channels"], 1, 1)

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        x = self.last_batch = normalize(batch[0], self.device)
        with mixed(self.device):
            mu, logvar = (output.float() for output in self.net.posterior(x))
            logvar = logvar.clamp(-20, 10)
            noise = torch.randn(mu.shape, generator=rng).to(self.device)
            output = self.net.decode(mu + (logvar / 2).exp() * noise).float()
        l1, edges = F.l1_loss(output, x), edges_l1(output, x)
        kl = (mu**2 + logvar.exp() - 1 - logvar).mean() / 2
        loss = l1 + self.settings.gradient * edges + self.settings.kl * kl
        return loss, {"l1": l1, "edges": edges, "kl": kl}

    def sample(self, net: Autoencoder, rows: int, rng: torch.Generator) -> Tensor:
        """Returns images of the last batch, each followed by its reconstruction."""
        x = self.last_batch[: rows // 2]
        return torch.stack([x, net(x)], 1).flatten(0, 1).add(1).div(2).clamp(0, 1)


def with_measures(card: Header, weights: dict[str, Tensor], data: Data) -> TrainedWeights:
    """Adds the mean and deviation of the training images' latents, by channel."""
    net = build_autoencoder(card, weights)
    z = encode_images(net, data.train[0])
    measures = {"mean": z.mean((0, 2, 3)), "scale": z.std((0, 2, 3))}
    return TrainedWeights(card, weights | {k: v.to(weights[k].dtype) for k, v in measures.items()})


@torch.no_grad()
def measure_reconstruction(
    card: Header, weights: dict[str, Tensor], data: Data
) -> dict[str, JsonValue]:
    """PSNR, in dB, of held-out images against their reconstructions."""
    net = build_autoencoder(card, weights)
    x = data.test[0]
    latents = torch.split(encode_images(net, x), ROWS)
    output = torch.cat([net.decode(z) for z in latents])
    return {"test_psnr": round(psnr(output.add(1).div(2).clamp(0, 1), x.float().div(255)), 2)}
