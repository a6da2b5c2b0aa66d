"""Training of a variational autoencoder, and its evidence lower bound on held-out pictures."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.nets.conv_vae import ConvVAE
from training.initial import initialise
from training.losses import bernoulli_nll, kl_to_standard_normal, pixel_entropy
from training.recipe import Batch, Data


@dataclass(frozen=True, slots=True)
class VAESettings:
    """The rate is Adam's; it falls along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 1e-3
    seed: int = 0


class VAELearner:
    """A ConvVAE under the evidence lower bound (Kingma and Welling 2014, equation 10)."""

    def __init__(self, config: dict[str, int], settings: VAESettings, device: torch.device) -> None:
        net = initialise(ConvVAE(**config), torch.Generator().manual_seed(settings.seed))
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.device = device
        self.optimiser = torch.optim.Adam(self.net.parameters(), settings.rate, fused=True)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, settings.steps)

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        x = batch[0].to(self.device).float().div_(255)
        with torch.autocast(self.device.type, torch.bfloat16):
            mu, logvar = (part.float() for part in self.net.encode(x))
            eps = torch.randn(mu.shape, generator=rng).to(self.device)
            logits = self.net.decode(mu + eps * (logvar / 2).exp()).float()
        reconstruction = bernoulli_nll(logits, x).mean()
        kl = kl_to_standard_normal(mu, logvar).mean()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(reconstruction + kl)
        self.optimiser.step()
        self.schedule.step()
        return {"loss": (reconstruction + kl).item(), "kl": kl.item()}

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(rows, self.net.latent, generator=rng).to(self.device)
        with torch.no_grad():
            x: Tensor = self.net.decode(z).sigmoid()
        return x

    def weights(self) -> dict[str, Tensor]:
        return {k: v.contiguous().cpu() for k, v in self.net.state_dict().items()}

    def state(self) -> dict[str, Any]:
        return {k: part.state_dict() for k, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"net": self.net, "optimiser": self.optimiser, "schedule": self.schedule}


def measure_bound(
    config: dict[str, int], weights: dict[str, Tensor], data: Data
) -> dict[str, float | str]:
    """The bound's two terms over the whole test part, in nats a picture; z drawn once a row."""
    net = ConvVAE(**config)
    net.load_state_dict(weights)
    rng = torch.Generator().manual_seed(0)
    terms = []
    with torch.no_grad():
        for rows in torch.split(data.test[0], 500):
            x = rows.float().div(255)
            mu, logvar = net.encode(x)
            z = mu + torch.randn(mu.shape, generator=rng) * (logvar / 2).exp()
            nll, kl = bernoulli_nll(net.decode(z), x), kl_to_standard_normal(mu, logvar)
            terms.append(torch.stack([nll, kl, pixel_entropy(x)]))
    nll_mean, kl_mean, floor = torch.cat(terms, 1).mean(1).tolist()
    return {
        "test_elbo_nats": round(-nll_mean - kl_mean, 2),
        "test_reconstruction_nats": round(nll_mean, 2),
        "test_reconstruction_floor_nats": round(floor, 2),
        "test_kl_nats": round(kl_mean, 2),
        "test_bound_bits_per_pixel": round(
            (nll_mean + kl_mean) / math.log(2) / data.test[0][0].numel(), 4
        ),
    }
