"""Training of a DCGAN that a thousand pictures suffice for: the learner of the GAN recipes.

Non-saturating logistic loss with a lazy R1 penalty (Karras et al. 2020, 1912.04958, appendix B),
differentiable augmentation, and a moving average of the generator's weights, which is what is
served.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.nets.dcgan import Discriminator, Generator
from training.augment import diff_augment, mirror
from training.initial import initialise, scale_normal
from training.losses import logistic_discriminator, nonsaturating_generator, r1_penalty
from training.metrics.pictures import mean_patch_distances, nearest_rms
from training.recipe import Batch, Data


@dataclass(frozen=True, slots=True)
class GANSettings:
    """Rates are Adam's; from step `cool_from` to `cool_until` they fall in a line to a fiftieth.

    `half_life` is that of the moving average, in pictures.
    """

    generator_rate: float = 4e-4
    discriminator_rate: float = 4e-4
    beta1: float = 0.5
    beta2: float = 0.99
    r1: float = 1.0
    r1_every: int = 16
    half_life: int = 10_000
    cool_from: int = 6_000
    cool_until: int = 10_500
    seed: int = 0


class GANLearner:
    """A generator, its discriminator and its average."""

    def __init__(
        self,
        net: dict[str, int],
        judge: dict[str, int],
        settings: GANSettings,
        device: torch.device,
    ) -> None:
        rng = torch.Generator().manual_seed(settings.seed)
        generator = scale_normal(Generator(**net), rng)
        self.generator = generator.to(device).to(memory_format=torch.channels_last)
        discriminator = initialise(Discriminator(**judge), rng)
        self.discriminator = discriminator.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.settings, self.device, self.steps = settings, device, 0
        betas = (settings.beta1, settings.beta2)
        self.generator_optimiser = torch.optim.Adam(
            self.generator.parameters(), settings.generator_rate, betas, fused=True
        )
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), settings.discriminator_rate, betas, fused=True
        )

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        real = batch[0].to(self.device).float().div_(127.5).sub_(1)
        real = mirror(real, rng).contiguous(memory_format=torch.channels_last)
        self._set_rates()
        z = self._latents(len(real), rng)
        fake = self._draw(z)
        judged = self._improve_discriminator(real, fake.detach(), rng)
        losses = judged | self._improve_generator(fake, rng)
        self.steps += 1
        self._follow(len(real))
        return losses

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """From the average, whose batch norm statistics are measured anew first."""
        self._settle()
        with torch.no_grad():
            x: Tensor = self.average(self._latents(rows, rng))
        return x.add(1).div(2)

    def weights(self) -> dict[str, Tensor]:
        self._settle()
        return {k: v.contiguous().cpu() for k, v in self.average.state_dict().items()}

    def state(self) -> dict[str, Any]:
        self._settle()
        return {"steps": self.steps} | {k: v.state_dict() for k, v in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_optimiser": self.generator_optimiser,
            "discriminator_optimiser": self.discriminator_optimiser,
        }

    def _set_rates(self) -> None:
        past = self.steps - self.settings.cool_from
        part = past / (self.settings.cool_until - self.settings.cool_from)
        factor = 1 - 0.98 * min(1.0, max(0.0, part))
        for optimiser, rate in (
            (self.generator_optimiser, self.settings.generator_rate),
            (self.discriminator_optimiser, self.settings.discriminator_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def _latents(self, rows: int, rng: torch.Generator) -> Tensor:
        return torch.randn(rows, self.generator.latent, generator=rng).to(self.device)

    def _draw(self, z: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):
            x: Tensor = self.generator(z)
        return x.float()

    def _judge(self, x: Tensor, rng: torch.Generator) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):
            logits: Tensor = self.discriminator(diff_augment(x, rng))
        return logits

    def _improve_discriminator(
        self, real: Tensor, fake: Tensor, rng: torch.Generator
    ) -> dict[str, float]:
        on_real, on_fake = self._judge(real, rng), self._judge(fake, rng)
        loss = logistic_discriminator(on_real, on_fake).mean()
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.steps % self.settings.r1_every == 0:
            self._penalise(real[: max(1, len(real) // 2)], rng)
        self.discriminator_optimiser.step()
        return {
            "discriminator": loss.item(),
            "on_real": on_real.mean().item(),
            "on_fake": on_fake.mean().item(),
        }

    def _penalise(self, real: Tensor, rng: torch.Generator) -> None:
        """R1 in single precision, on the augmented pictures, weighted up for the steps skipped."""
        x = diff_augment(real, rng)
        weight = self.settings.r1 / 2 * self.settings.r1_every
        torch.autograd.backward(weight * r1_penalty(self.discriminator, x).mean())

    def _improve_generator(self, fake: Tensor, rng: torch.Generator) -> dict[str, float]:
        self.discriminator.requires_grad_(False)
        loss = nonsaturating_generator(self._judge(fake, rng)).mean()
        self.generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        return {"loss": loss.item()}

    def _follow(self, rows: int) -> None:
        """The average moves to the generator; at first faster, so as to forget its beginnings."""
        half_life = min(self.settings.half_life, 0.05 * self.steps * rows)
        towards = 1 - 0.5 ** (rows / half_life)
        with torch.no_grad():
            for old, new in zip(
                self.average.parameters(), self.generator.parameters(), strict=True
            ):
                old.lerp_(new, towards)

    def _settle(self) -> None:
        """Batch norm of the average over 512 fixed draws: its own, not the generator's."""
        rng = torch.Generator().manual_seed(self.settings.seed)
        norms = [m for m in self.average.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        self.average.train()
        with torch.no_grad():
            for _ in range(8):
                self.average(self._latents(64, rng))
        self.average.eval()


def measure_generator(
    config: dict[str, int], weights: dict[str, Tensor], data: Data
) -> dict[str, float | str]:
    """Patch distances of generated pictures, of training pictures and of noise to the held-out.

    The distance of training pictures is what a perfect generator would reach, that of noise what
    none should. How near the generated lie to a training picture tells of copying; held-out
    pictures are the measure for that.
    """
    rng = torch.Generator().manual_seed(0)
    net = Generator(**config)
    net.load_state_dict(weights)
    net.eval()
    train, test = (part[0].float().div(255) for part in (data.train, data.test))
    many = 8 * len(test)
    with torch.no_grad():
        made: Tensor = net(torch.randn(many, net.latent, generator=rng)).add(1).div(2)
    sets = {
        "generated": made,
        "training": train[torch.randint(len(train), (many,), generator=rng)],
        "noise": torch.rand(made.shape, generator=rng),
    }
    figures: dict[str, float | str] = {
        "distance": "sliced Wasserstein x1000 of 7x7 patches at sides 64, 32, 16 "
        f"to {len(test)} held-out pictures"
    }
    for name, pictures in sets.items():
        distances = mean_patch_distances(pictures, test, rng)
        figures |= {f"{name}_{side}": round(mean, 1) for side, mean in distances.items()}
    for name, pictures in (("generated", made), ("held_out", test)):
        median = nearest_rms(pictures, train).median().item()
        figures[f"{name}_rms_to_nearest_training"] = round(median, 3)
    return figures
