"""Training of adversarial networks: one learner, several losses and ways to tame a critic.

Losses: non-saturating logistic (Goodfellow et al. 2014) and Wasserstein (Arjovsky et al. 2017).
Taming: a lazy R1 penalty (Karras et al. 2020, 1912.04958, appendix B), a gradient penalty
(Gulrajani et al. 2017), or clipped weights (Arjovsky et al. 2017, algorithm 1). A moving average
of the generator's weights is what is served.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.checkpoint.header import Header
from models.nets.gan import MLPGenerator, critic_of, generator_of
from training.loop.state import Resumable, Stateful, state_on_cpu
from training.optim.amp import mixed
from training.optim.augment import diff_augment, mirror
from training.optim.ema import GeneratorAverage
from training.optim.init import embed_normal, initialise, scale_normal
from training.optim.losses import (
    gradient_penalty,
    logistic_discriminator,
    nonsaturating_generator,
    r1_penalty,
    wasserstein_critic,
    wasserstein_generator,
)
from training.optim.schedules import Part, level_then_line, set_rate
from training.recipe import Batch, Data


@dataclass(frozen=True, slots=True)
class GANSettings:
    """Over the part `cool` of the steps, the last ones, the rates fall in a line to a fiftieth.

    A batch is cut into `critic_steps` parts, one for each step of the critic; the generator then
    takes one. `half_life` is that of the moving average, in pictures of such a part.
    """

    steps: int
    loss: Literal["logistic", "wasserstein"] = "logistic"
    optimiser: Literal["adam", "rmsprop"] = "adam"
    generator_rate: float = 4e-4
    critic_rate: float = 4e-4
    beta1: float = 0.5
    beta2: float = 0.99
    critic_steps: int = 1
    r1: float = 0.0
    r1_every: int = 16
    penalty: float = 0.0  # lambda of the gradient penalty
    clip: float = 0.0  # largest weight of the critic; 0 doesn't clip
    augment: bool = False
    mirror: bool = False
    half_life: int = 10_000
    cool: Part = 0.0
    components: int = 0  # principal ones at which a fully connected generator begins
    seed: int = 0


LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "logistic": (logistic_discriminator, nonsaturating_generator),
    "wasserstein": (wasserstein_critic, wasserstein_generator),
}


class GANLearner(Resumable):
    """A generator, its critic and its average. The critic's measures follow the generator's."""

    refusal = "a GAN can't begin from a checkpoint: its critic is in none"

    def __init__(
        self, card: Header, judge: dict[str, Any], settings: GANSettings, device: torch.device
    ) -> None:
        net: dict[str, Any] = dict(card.net)
        shape = {k: net[k] for k in ("channels", "size", "classes") if k in net}
        rng = torch.Generator().manual_seed(settings.seed)
        self.generator = _placed(first_weights(generator_of(**net), net["kind"], rng), device)
        critic = embed_small(initialise(critic_of(**judge, **shape), rng))
        self.critic = _placed(critic, device)
        self.average = GeneratorAverage(self.generator, settings.half_life)
        if settings.components and net["kind"] != "mlp":
            raise ValueError("only a fully connected generator begins from components")
        self.settings, self.device = settings, device
        self.latent, self.classes = int(net["latent"]), int(net.get("classes", 0))
        self.critic_loss, self.generator_loss = LOSSES[settings.loss]
        self.generator_optimiser = self._optimiser(self.generator, settings.generator_rate)
        self.critic_optimiser = self._optimiser(self.critic, settings.critic_rate)

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        real = batch[0].to(self.device).float().div_(127.5).sub_(1)
        if self.settings.mirror:
            real = mirror(real, rng)
        real = real.contiguous(memory_format=torch.channels_last)
        label = batch[1].to(self.device) if self.classes else self._no_labels(len(real))
        self._set_rates()
        chunks = self.settings.critic_steps
        for x, y in zip(real.chunk(chunks), label.chunk(chunks), strict=True):
            fake = self._draw(self._latents(len(x), rng), y)
            judged = self._improve_critic(x, fake.detach(), y, rng)
        losses = judged | self._improve_generator(fake, y, rng)
        self.steps += 1
        self.average.follow(self.generator, self.steps, len(x))
        return losses

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """From the average, whose batch norm statistics are measured anew first."""
        self._settle()
        with torch.no_grad():
            x: Tensor = self.average.net(self._latents(rows, rng), self._labels_in_turn(rows))
        return x.add(1).div(2)

    def weights(self) -> dict[str, Tensor]:
        self._settle()
        return state_on_cpu(self.average.net)

    def state(self) -> dict[str, Any]:
        self._settle()
        return super().state()

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.average.measured_at = self.steps

    def components(self) -> dict[str, Stateful]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "average": self.average.net,
            "generator_optimiser": self.generator_optimiser,
            "critic_optimiser": self.critic_optimiser,
        }

    def _optimiser(self, net: nn.Module, rate: float) -> torch.optim.Optimizer:
        if self.settings.optimiser == "rmsprop":
            return torch.optim.RMSprop(net.parameters(), rate)
        betas = (self.settings.beta1, self.settings.beta2)
        return torch.optim.Adam(net.parameters(), rate, betas, fused=True)

    def _set_rates(self) -> None:
        settings = self.settings
        factor = level_then_line(self.steps, settings.steps, settings.cool, floor=0.02)
        set_rate(self.generator_optimiser, settings.generator_rate * factor)
        set_rate(self.critic_optimiser, settings.critic_rate * factor)

    def _latents(self, rows: int, rng: torch.Generator) -> Tensor:
        return torch.randn(rows, self.latent, generator=rng).to(self.device)

    def _no_labels(self, rows: int) -> Tensor:
        return torch.zeros(rows, dtype=torch.int64, device=self.device)

    def _labels_in_turn(self, rows: int) -> Tensor:
        return torch.arange(rows, device=self.device) % max(1, self.classes)

    def _draw(self, z: Tensor, label: Tensor) -> Tensor:
        with mixed(self.device):
            x: Tensor = self.generator(z, label)
        return x.float()

    def _judge(self, x: Tensor, label: Tensor, rng: torch.Generator) -> Tensor:
        x = diff_augment(x, rng) if self.settings.augment else x
        with mixed(self.device):
            values: Tensor = self.critic(x, label)
        return values

    def _improve_critic(
        self, real: Tensor, fake: Tensor, label: Tensor, rng: torch.Generator
    ) -> dict[str, float]:
        on_real, on_fake = self._judge(real, label, rng), self._judge(fake, label, rng)
        loss = self.critic_loss(on_real, on_fake).mean()
        self.critic_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._tame(real, fake, label, rng)
        self.critic_optimiser.step()
        if self.settings.clip:
            with torch.no_grad():
                for parameter in self.critic.parameters():
                    parameter.clamp_(-self.settings.clip, self.settings.clip)
        return {
            "critic": loss.item(),
            "on_real": on_real.mean().item(),
            "on_fake": on_fake.mean().item(),
        }

    def _tame(self, real: Tensor, fake: Tensor, label: Tensor, rng: torch.Generator) -> None:
        """Penalties in single precision; R1 on augmented pictures, for the steps skipped too."""
        settings = self.settings
        if settings.r1 and self.steps % settings.r1_every == 0:
            half = max(1, len(real) // 2)
            x = diff_augment(real[:half], rng) if settings.augment else real[:half]
            slopes = r1_penalty(lambda x: self.critic(x, label[:half]), x)
            torch.autograd.backward(settings.r1 / 2 * settings.r1_every * slopes.mean())
        if settings.penalty:
            apart = gradient_penalty(lambda x: self.critic(x, label), real, fake, rng)
            torch.autograd.backward(settings.penalty * apart.mean())

    def _improve_generator(
        self, fake: Tensor, label: Tensor, rng: torch.Generator
    ) -> dict[str, float]:
        self.critic.requires_grad_(False)
        loss = self.generator_loss(self._judge(fake, label, rng)).mean()
        self.generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.generator_optimiser.step()
        self.critic.requires_grad_(True)
        return {"loss": loss.item()}

    def _settle(self) -> None:
        """Measures the average's batch norm over 512 fixed draws."""
        rng = torch.Generator().manual_seed(self.settings.seed)
        self.average.measure_norms(
            self.steps, lambda: self.average.net(self._latents(64, rng), self._labels_in_turn(64))
        )


def first_weights(net: nn.Module, kind: str, rng: torch.Generator) -> nn.Module:
    """A DCGAN's by its paper; torch's own law for the others."""
    return scale_normal(net, rng) if kind == "dcgan" else embed_normal(initialise(net, rng), rng)


BOUND = 0.98
"""What pixels in [-1, 1] are limited to before the inverse of tanh."""
FITTED_ROWS = 12_000
"""Pictures whose principal components are found."""


@torch.no_grad()
def start_from_components(learner: GANLearner, data: Data, components: int) -> None:
    """Sets the last layer of a fully connected generator to smooth pictures.

    Each hidden unit adds a random mixture of the leading principal components of the data, before
    tanh, so that the first pictures have the data's mean and the covariance of these components
    (Jolliffe 2002, chapter 1). Random weights would begin, and stay for long, with noise in every
    pixel. The hidden units are rectified standard normals after batch norm: their mean is
    1 / sqrt(2 pi), their variance 1/2 - 1 / (2 pi).
    """
    pictures = data.train[0][:FITTED_ROWS].float().div(127.5).sub(1)
    x = pictures.clamp(-BOUND, BOUND).atanh().flatten(1).double()
    centre = x.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((x - centre).T))
    axes = vectors[:, -components:] * values[-components:].clamp(min=0).sqrt()
    net = learner.generator
    if not isinstance(net, MLPGenerator):
        raise TypeError("only a fully connected generator begins from components")
    output = net.output
    rng = torch.Generator().manual_seed(learner.settings.seed)
    mixtures = torch.randn(axes.shape[1], output.in_features, generator=rng, dtype=torch.float64)
    variance = 1 / 2 - 1 / (2 * math.pi)
    weights = axes @ mixtures / math.sqrt(variance * output.in_features)
    output.weight.copy_(weights)
    output.bias.copy_(centre - weights.sum(1) / math.sqrt(2 * math.pi))
    learner.average.net.load_state_dict(net.state_dict())


def embed_small(net: nn.Module) -> nn.Module:
    """A critic's opinion of labels begins at none."""
    for module in net.modules():
        if isinstance(module, nn.Embedding):
            nn.init.zeros_(module.weight)
    return net


def _placed(net: nn.Module, device: torch.device) -> nn.Module:
    return net.to(device).to(memory_format=torch.channels_last)
