"""Trains a diffusion model: it predicts the noise, or an equivalent, at a random level."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.configs import DiffusionProcess
from models.checkpoint.header import Header
from models.diffusion.noise_schedule import NoiseSchedule
from models.nets.unet import UNet
from training.errors import TrainingRefused
from training.learners.quick_sample import sketched
from training.learners.standard import Objective
from training.optim.amp import mixed
from training.optim.init import initialise
from training.optim.schedules import Part, warm_cosine
from training.recipe import Batch


@dataclass(frozen=True, slots=True)
class DiffusionSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`.

    Where `even` is set it does so twice (a warm restart, Loshchilov and Hutter 2017): min-SNR
    weights find the shapes soon but leave the noisiest levels and the last trace of noise nearly
    unlearnt, so the last part of the steps weighs every level alike.
    """

    steps: int
    rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: int = 300
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.999  # of the average
    label_dropout: float = 0.1  # Ho and Salimans 2022, algorithm 1
    snr: float = 5.0  # Hang et al. 2023, gamma
    even: Part = 0.0  # this part of the steps, the last ones, without it
    seed: int = 0


class DiffusionObjective(Objective[UNet]):
    """A U-Net under the weighted loss of Hang et al. 2023 (2303.09556), equation 8."""

    settings: DiffusionSettings

    def __init__(self, card: Header, settings: DiffusionSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        net = initialise(UNet(**config), torch.Generator().manual_seed(settings.seed))
        start_silent(net)
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.schedule = NoiseSchedule.of(DiffusionProcess.parse(card.process))
        self.settings, self.device, self.max_norm = settings, device, settings.clip

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        x0 = self._images(batch[0])
        t = torch.randint(len(self.schedule.alpha_bar), (len(x0),), generator=rng)
        eps = torch.randn(x0.shape, generator=rng).to(self.device)
        label = self._labels(batch, rng)
        noisy, target = self.schedule.noised(x0, eps, t), self.schedule.target(x0, eps, t)
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        with mixed(self.device):
            output = self.net(noisy, t.float().to(self.device), label).float()
        errors = F.mse_loss(output, target, reduction="none").flatten(1).mean(1)  # (B,)
        loss = (errors if step >= self._first_even() else self._weights(t) * errors).mean()
        return loss, {"error": errors.mean()}

    def sample(self, net: UNet, rows: int, rng: torch.Generator) -> Tensor:
        """Twenty deterministic steps from noise, each label in turn, without guidance."""
        x = torch.randn(rows, net.channels, net.size, net.size, generator=rng).to(self.device)
        label = torch.arange(rows, device=self.device) % max(1, net.classes)
        with mixed(self.device):
            x = sketched(self.schedule, x, lambda noisy, t: net(noisy, t, label))
        return x.add(1).div(2).clamp(0, 1)

    def rate_factor(self, step: int) -> float:
        first, settings = self._first_even(), self.settings
        if step < first:
            return warm_cosine(step, first, settings.warmup)
        return warm_cosine(step - first, settings.steps - first, settings.warmup)

    def _images(self, images: Tensor) -> Tensor:
        """Converts uint8 to [-1, 1], with a border of the darkest value up to the net's size.

        Raises TrainingRefused for images that would have to be cut.
        """
        x = images.to(self.device).float().div_(127.5).sub_(1)
        border = self.net.size - x.shape[-1]
        if border < 0:
            raise TrainingRefused(
                f"its net makes pictures of size {self.net.size}, and its data has {x.shape[-1]}"
            )
        before, after = border // 2, border - border // 2
        return F.pad(x, (before, after, before, after), value=-1.0)

    def _labels(self, batch: Batch, rng: torch.Generator) -> Tensor:
        none = torch.full((len(batch[0]),), self.net.classes)
        if not self.net.classes:
            return none.to(self.device)
        dropped = torch.rand(len(none), generator=rng) < self.settings.label_dropout
        return torch.where(dropped, none, batch[1]).to(self.device)

    def _first_even(self) -> int:
        """Returns the step from which every level has the same weight."""
        return round(self.settings.steps * (1 - self.settings.even))

    def _weights(self, t: Tensor) -> Tensor:
        """Returns min(SNR, gamma) of the error in x0, in terms of what is predicted, (B,)."""
        a = self.schedule.alpha_bar[t]
        ratio = a / (1 - a)
        least = ratio.clamp(max=self.settings.snr)
        divisor = {"x": torch.ones_like(ratio), "eps": ratio, "v": ratio + 1}
        return (least / divisor[self.schedule.prediction]).to(self.device)


def start_silent(net: UNet) -> None:
    """The last convolution of every block begins at zero (Dhariwal and Nichol 2021)."""
    for name, parameter in net.named_parameters():
        if any(layer in name for layer in ("conv_out", "project_out", "leave", "modulate")):
            nn.init.zeros_(parameter)
    nn.init.normal_(net.embed_label.weight, std=0.02, generator=torch.Generator().manual_seed(0))
