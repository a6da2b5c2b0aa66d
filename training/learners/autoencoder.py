"""Training of an autoencoder with spatial latents: sharp pictures from few numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.autoencoder import Autoencoder
from training.errors import TrainingRefused
from training.loop.state import Kept, state_of, take_back
from training.metrics.likeness import psnr
from training.optim.amp import mixed
from training.optim.ema import Average
from training.optim.init import initialise
from training.optim.losses import edges_l1
from training.optim.schedules import set_rate, warm_cosine
from training.pretrained import ROWS, autoencoder_of, encoded, pictures_of
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


class AutoencoderLearner:
    """L1 of pixels and of the differences between neighbours, which keep edges sharp without a
    judge of patches, and a little KL that keeps latents near N(0, 1)."""

    def __init__(self, card: Header, settings: AutoencoderSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        net = initialise(Autoencoder(**config), torch.Generator().manual_seed(settings.seed))
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.settings, self.device, self.steps = settings, device, 0
        self.average = Average(self.net, settings.decay)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), settings.rate, weight_decay=settings.weight_decay, fused=True
        )
        self.seen = torch.zeros(1, card.net["channels"], 1, 1)  # type: ignore[arg-type]

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        x = pictures_of(batch[0], self.device)
        self.seen = x
        with mixed(self.device):
            mu, logvar = (part.float() for part in self.net.posterior(x))
            logvar = logvar.clamp(-20, 10)
            noise = torch.randn(mu.shape, generator=rng).to(self.device)
            told = self.net.decode(mu + (logvar / 2).exp() * noise).float()
        near = F.l1_loss(told, x)
        edges = edges_l1(told, x)
        kl = (mu**2 + logvar.exp() - 1 - logvar).mean() / 2
        settings = self.settings
        loss = near + settings.gradient * edges + settings.kl * kl
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), settings.clip)
        factor = warm_cosine(self.steps, settings.steps, settings.warmup)
        set_rate(self.optimiser, settings.rate * factor)
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        return {"loss": loss.item(), "l1": near.item(), "edges": edges.item(), "kl": kl.item()}

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """The pictures learnt from last, each beside what became of it."""
        x = self.seen[: rows // 2]
        return torch.stack([x, self.average.net(x)], 1).flatten(0, 1).add(1).div(2).clamp(0, 1)

    def weights(self) -> dict[str, Tensor]:
        return {k: v.contiguous().cpu() for k, v in self.average.net.state_dict().items()}

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        raise TrainingRefused(
            "an autoencoder can't begin from a checkpoint: its latents are measured at its end"
        )

    def state(self) -> dict[str, Any]:
        return state_of(self.steps, self._parts())

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = take_back(state, self._parts())

    def _parts(self) -> dict[str, Kept]:
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser}


def with_measures(card: Header, weights: dict[str, Tensor], data: Data) -> TrainedWeights:
    """With the mean and deviation of the training pictures' latents, by channel."""
    net = autoencoder_of(card, {k: v.float() for k, v in weights.items()})
    z = encoded(net, data.train[0])
    measures = {"mean": z.mean((0, 2, 3)), "scale": z.std((0, 2, 3))}
    return TrainedWeights(card, weights | {k: v.to(weights[k].dtype) for k, v in measures.items()})


@torch.no_grad()
def measure_likeness(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """PSNR, in dB, of held-out pictures against what comes back of them."""
    net = autoencoder_of(card, {k: v.float() for k, v in weights.items()})
    x = data.test[0]
    back = torch.cat([net.decode(part) for part in torch.split(encoded(net, x), ROWS)])
    return {"test_psnr": round(psnr(back.add(1).div(2).clamp(0, 1), x.float().div(255)), 2)}
