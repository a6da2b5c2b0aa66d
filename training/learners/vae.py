"""Trains variational autoencoders, and fits their priors and attributes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header
from models.nets.vae import VAENet
from training.learners.attributes import attribute_directions, kinds_of
from training.learners.mixture import fitted
from training.loop.state import Resumable, Stateful, state_on_cpu
from training.metrics.image.disentanglement import measure_disentanglement
from training.optim.amp import mixed
from training.optim.init import initialise
from training.optim.losses import (
    bernoulli_nll,
    gaussian_nll,
    kl_to_standard_normal,
    pixel_entropy,
    total_correlation,
)
from training.optim.schedules import set_rate, warm_cosine
from training.recipe import Batch, Data, TrainedWeights

FITTED = {"components", "covariance", "attributes"}  # of a net: what comes after training
EM_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class VAESettings:
    """The rate is Adam's; it falls along a cosine to nothing over `steps`.

    The KL term is weighed by beta (Higgins et al. 2017), rising in a line over the first `warmup`
    steps (Bowman et al. 2016, 1511.06349, section 3.1). A `correlation` above 1 weighs the part of
    the KL term that is the latents' total correlation by so much (Chen et al. 2018, 1802.04942,
    equation 4); it rises in the same way.
    """

    steps: int
    rate: float = 1e-3
    beta: float = 1.0
    correlation: float = 1.0
    warmup: int = 0
    seed: int = 0


class VAELearner(Resumable):
    """A VAE under the evidence lower bound (Kingma and Welling 2014, equation 10)."""

    refusal = "a VAE can't begin from a checkpoint: its prior and attributes are fitted at its end"

    def __init__(self, card: Header, settings: VAESettings, device: torch.device) -> None:
        net = initialise(bare(card), torch.Generator().manual_seed(settings.seed))
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.settings, self.device = settings, device
        self.optimiser = torch.optim.Adam(self.net.parameters(), settings.rate, fused=True)

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        x = batch[0].to(self.device).float().div_(255)
        with mixed(self.device):
            mu, logvar = (output.float() for output in self.net.encode(x))
            eps = torch.randn(mu.shape, generator=rng).to(self.device)
            z = mu + eps * (logvar / 2).exp()
            logits = self.net.decode(z).float()
        reconstruction = reconstruction_nll(self.net, logits, x).mean()
        kl = kl_to_standard_normal(mu, logvar).mean()
        penalty = self.settings.beta * kl
        if self.settings.correlation > 1:
            excess = total_correlation(z, mu, logvar).mean()
            penalty = penalty + (self.settings.correlation - 1) * excess
        loss = reconstruction + min(1.0, (self.steps + 1) / max(1, self.settings.warmup)) * penalty
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        factor = warm_cosine(self.steps, self.settings.steps)
        set_rate(self.optimiser, self.settings.rate * factor)
        self.optimiser.step()
        self.steps += 1
        return {"loss": loss.item(), "kl": kl.item()}

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(rows, self.net.latent, generator=rng).to(self.device)
        return self.net.decode(z).sigmoid()

    def weights(self) -> dict[str, Tensor]:
        return state_on_cpu(self.net)

    def components(self) -> dict[str, Stateful]:
        return {"net": self.net, "optimiser": self.optimiser}


def bare(card: Header, weights: Mapping[str, Tensor] | None = None) -> VAENet:
    """The net of a card without what is fitted afterwards; with its trained weights, if given."""
    config: dict[str, Any] = {k: v for k, v in card.net.items() if k not in FITTED}
    net = VAENet(**config)
    if weights is not None:
        own = net.state_dict().keys()
        net.load_state_dict({k: w.float() for k, w in weights.items() if k in own})
    return net


def reconstruction_nll(net: VAENet, logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) in nats, (B,), by the likelihood of the net."""
    if net.logvar is None:
        return bernoulli_nll(logits, x)
    return gaussian_nll(logits.sigmoid(), net.logvar, x)


@torch.no_grad()
def latents(net: VAENet, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """mu and logvar of uint8 pictures, each (N, latent)."""
    outputs = [net.encode(rows.float().div(255)) for rows in torch.split(pictures, 500)]
    mus, logvars = zip(*outputs, strict=True)
    return torch.cat(mus), torch.cat(logvars)


@torch.no_grad()
def measure_bound(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """The bound's two terms over the whole test part, in nats a picture; z drawn once a row."""
    net = bare(card, weights)
    rng = torch.Generator().manual_seed(0)
    terms = []
    for rows in torch.split(data.test[0], 500):
        x = rows.float().div(255)
        mu, logvar = net.encode(x)
        z = mu + torch.randn(mu.shape, generator=rng) * (logvar / 2).exp()
        nll, kl = reconstruction_nll(net, net.decode(z), x), kl_to_standard_normal(mu, logvar)
        terms.append(torch.stack([nll, kl, pixel_entropy(x)]))
    nll_mean, kl_mean, floor = torch.cat(terms, 1).mean(1).tolist()
    figures: dict[str, JsonValue] = {
        "test_elbo_nats": round(-nll_mean - kl_mean, 2),
        "test_reconstruction_nats": round(nll_mean, 2),
        "test_kl_nats": round(kl_mean, 2),
        "test_bound_bits_per_pixel": round(
            (nll_mean + kl_mean) / math.log(2) / data.test[0][0].numel(), 4
        ),
    }
    if net.logvar is None:
        figures["test_reconstruction_floor_nats"] = round(floor, 2)
    return figures


def measure_sprites(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """The bound, and whether each latent speaks of one of the factors that drew the sprites."""
    net, rng = bare(card, weights), torch.Generator().manual_seed(0)
    apart = measure_disentanglement(lambda x: net.encode(x)[0], rng)
    return measure_bound(card, weights, data) | apart


Tags = Callable[[Data], dict[str, Tensor]]
"""What is true of each training picture, (N,) bool, by name."""


def fit_latents(
    card: Header, weights: dict[str, Tensor], data: Data, tags: Tags | None = None
) -> TrainedWeights:
    """Add a mixture prior where the card's net has `components`, and directions for the tags.

    The mixture is fitted to draws of q(z|x) over the training pictures: what the decoder has
    seen (Tomczak and Welling 2018, 1705.07120, section 2).
    """
    net = bare(card, weights)
    mu, logvar = latents(net, data.train[0])
    whole, config = dict(weights), dict(card.net)
    if components := config.get("components"):
        rng = torch.Generator().manual_seed(0)
        z = mu + torch.randn(mu.shape, generator=rng) * (logvar / 2).exp()
        covariance: Any = config.get("covariance", "full")
        prior = fitted(int(components), covariance, z, EM_ROUNDS)  # type: ignore[arg-type]
        whole |= {f"prior.{k}": v.detach() for k, v in prior.state_dict().items()}
    return fit_attributes(TrainedWeights(card, whole), mu, data, tags)


def fit_attributes(
    trained: TrainedWeights, mu: Tensor, data: Data, tags: Tags | None
) -> TrainedWeights:
    """Puts a direction for each tag in place of those that there are; `mu` is (N, latent)."""
    named = tags(data) if tags else {}
    config = {name: value for name, value in trained.card.net.items() if name != "attributes"}
    whole = {name: value for name, value in trained.weights.items() if name != "directions"}
    if named:
        whole["directions"] = attribute_directions(mu, named, kinds_of(data.train))
        config["attributes"] = len(named)
    card = trained.card.model_copy(update={"net": config, "attributes": list(named)})
    return TrainedWeights(card, whole)
