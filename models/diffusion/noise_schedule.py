"""The noise process of a diffusion model, and the one contract between its net and a sampler.

    x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) eps          Ho et al. 2020, equation 4

A net predicts eps, x0 or v (Salimans and Ho 2022, appendix D). Whatever it predicts, a sampler is
handed both x0 and eps: neither is recovered from the other twice, which would cost bits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.checkpoint.configs import DiffusionProcess, Prediction, Spacing


@dataclass(frozen=True, slots=True)
class Denoised:
    """What is known of a noisy x: the clean picture and the noise it is made of, each x's shape."""

    x0: Tensor
    eps: Tensor


def linear_alpha_bar(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """(steps,) float32; betas in a line (Ho et al. 2020, section 4)."""
    betas = torch.linspace(first, last, steps, dtype=torch.float32)
    return torch.cumprod(1.0 - betas, dim=0)


def scaled_linear_alpha_bar(
    steps: int = 1000, first: float = 8.5e-4, last: float = 0.012
) -> Tensor:
    """(steps,) float32; the roots of betas in a line, as Rombach et al. 2022's published code."""
    betas = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float32) ** 2
    return torch.cumprod(1.0 - betas, dim=0)


def cosine_alpha_bar(steps: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """(steps,) float32; Nichol and Dhariwal 2021 (2102.09672), equation 17, betas capped."""

    def level(t: float) -> float:
        return math.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2

    betas = [min(1 - level((i + 1) / steps) / level(i / steps), largest) for i in range(steps)]
    return torch.cumprod(1.0 - torch.tensor(betas, dtype=torch.float32), dim=0)


def ending_in_noise(alpha_bar: Tensor) -> Tensor:
    """The same, but all noise at the end: Lin et al. 2024 (2305.08891), algorithm 1."""
    signal = alpha_bar**0.5
    least, most = signal[-1], signal[0]
    return ((signal - least) * (most / (most - least))) ** 2


ALPHA_BARS: dict[str, Callable[..., Tensor]] = {
    "linear": linear_alpha_bar,
    "cosine": cosine_alpha_bar,
    "scaled_linear": scaled_linear_alpha_bar,
}


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSchedule:
    """The levels of noise a net was trained at, and what it predicts."""

    alpha_bar: Tensor  # (T,) float32, falling
    prediction: Prediction = "eps"
    clip: bool = True  # pictures are in [-1, 1], and so is every predicted x0
    spacing: Spacing = "even"

    @staticmethod
    def of(process: DiffusionProcess) -> "NoiseSchedule":
        """The schedule that a checkpoint's `process` describes."""
        if process.betas is not None:
            betas = torch.tensor(process.betas, dtype=torch.float32)  # (T,)
            alpha_bar = torch.cumprod(1.0 - betas, dim=0)
        else:
            ends = {"first": process.first, "last": process.last}
            named = {name: beta for name, beta in ends.items() if beta is not None}
            alpha_bar = ALPHA_BARS[process.schedule](process.steps, **named)
        if process.zero_snr:
            alpha_bar = ending_in_noise(alpha_bar)
        return NoiseSchedule(alpha_bar, process.prediction, process.clip, process.spacing)

    def noised(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t of a batch: x0, eps (B, C, H, W), t (B,) whole."""
        a = self.alpha_bar.to(x0.device)[t].view(-1, 1, 1, 1)
        return a.sqrt() * x0 + (1 - a).sqrt() * eps

    def target(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """What the net should say of `noised(x0, eps, t)`."""
        a = self.alpha_bar.to(x0.device)[t].view(-1, 1, 1, 1)
        if self.prediction == "v":
            return a.sqrt() * eps - (1 - a).sqrt() * x0
        return eps if self.prediction == "eps" else x0

    def denoised(self, x: Tensor, output: Tensor, a: Tensor, s: Tensor) -> Denoised:
        """x0 and eps of a noisy x = a x0 + s eps, from what the net said of it.

        x and output of any shape; a = sqrt(alpha_bar) and s = sqrt(1 - alpha_bar) of none. A
        clipped x0 no longer fits its eps; which of the two a sampler trusts is its own affair.
        """
        if self.prediction == "eps":
            x0, eps = (x - s * output) / a, output
        elif self.prediction == "v":
            x0, eps = a * x - s * output, a * output + s * x
        else:
            x0, eps = output, (x - a * output) / s
        return Denoised(x0.clamp(-1.0, 1.0) if self.clip else x0, eps)
