"""Trains text to image: diffusion over an autoencoder's latents, conditioned on text."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.configs import DiffusionProcess
from models.checkpoint.header import Header
from models.diffusion.noise_schedule import NoiseSchedule
from models.nets.unet import TextCondition, UNet
from training.components import load_component
from training.learners.clip import drawn_text, trimmed
from training.learners.diffusion import start_silent
from training.learners.quick_sample import sketched
from training.learners.standard import Objective
from training.optim.amp import mixed
from training.optim.init import initialise
from training.pretrained import build_autoencoder, load_text_tower
from training.recipe import Batch

GUIDANCE = 3.0  # of the samples on the way


@dataclass(frozen=True, slots=True)
class LatentDiffusionSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 6e-4
    weight_decay: float = 0.01
    warmup: int = 200
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.999  # of the average
    text_dropout: float = 0.1  # Ho and Salimans 2022, algorithm 1
    style_dropout: float = 0.3
    long: float = 0.3  # steps with Chinese and lists of keywords, the others short English
    blur: float = 0.5  # the largest deviation of the noise on a guess
    seed: int = 0


class LatentDiffusionObjective(Objective[UNet]):
    """A U-Net that predicts v (Salimans and Ho 2022, appendix D) at levels drawn evenly.

    It is conditioned on the states of a frozen text tower; texts and styles are dropped now and
    then. A guess is frozen, too, and gets noise of a deviation drawn anew for each image, so that
    the net does not trust a wrong one (Ho et al. 2022, 2106.15282, section 4.2).
    """

    settings: LatentDiffusionSettings
    prefix = "unet."

    def __init__(
        self,
        card: Header,
        prompts: list[str],
        settings: LatentDiffusionSettings,
        device: torch.device,
    ) -> None:
        config: dict[str, Any] = dict(card.net)
        net = initialise(UNet(**config["unet"]), torch.Generator().manual_seed(settings.seed))
        start_silent(net)
        if net.guess is not None:
            guess = {k: v.float() for k, v in load_component("guess-emoji").tensors.items()}
            net.guess.load_state_dict(guess)
            net.guess.requires_grad_(False)
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.schedule = NoiseSchedule.of(DiffusionProcess.parse(card.process))
        self.settings, self.device, self.max_norm = settings, device, settings.clip
        self.text_tower = load_text_tower(device)
        autoencoder = load_component("autoencoder-emoji")
        self.autoencoder = build_autoencoder(autoencoder.header, autoencoder.tensors)
        self.autoencoder_tensors = {f"autoencoder.{k}": v for k, v in autoencoder.tensors.items()}
        self.prompts = self.text_tower.tokenizer.table(prompts, self.text_tower.context)

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [p for p in self.net.parameters() if p.requires_grad]}]

    def extra_tensors(self) -> dict[str, Tensor]:
        return self.autoencoder_tensors

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        z0, _, style, short, long = batch
        z0 = z0.to(self.device)
        t = torch.randint(len(self.schedule.alpha_bar), (len(z0),), generator=rng)
        eps = torch.randn(z0.shape, generator=rng).to(self.device)
        noisy, target = self.schedule.noised(z0, eps, t), self.schedule.target(z0, eps, t)
        dropped = torch.rand(len(style), generator=rng) < self.settings.style_dropout
        style = torch.where(dropped, self.net.classes, style).to(self.device)
        cond = self.text_tower.encode(self._tokens(short, long, rng))
        with mixed(self.device):
            noisy = noisy.contiguous(memory_format=torch.channels_last)
            guess = self._guess(cond, style, rng)
            output = self.net(noisy, t.float().to(self.device), style, cond, guess).float()
        return F.mse_loss(output, target), {}

    def _guess(self, cond: TextCondition, style: Tensor, rng: torch.Generator) -> Tensor | None:
        if self.net.guess is None:
            return None
        guess: Tensor = self.net.guess(cond.pooled, style)
        deviation = self.settings.blur * torch.rand(len(guess), 1, 1, 1, generator=rng)
        noise = deviation * torch.randn(guess.shape, generator=rng)
        return guess + noise.to(self.device)

    def _tokens(self, short: Tensor, long: Tensor, rng: torch.Generator) -> Tensor:
        """Draws one text for every image, or none, (B, L)."""
        tokens = drawn_text(short, long, self.settings.long, rng)
        dropped = torch.rand(len(tokens), generator=rng) < self.settings.text_dropout
        empty = self.text_tower.tokenizer.table([""], tokens.shape[1])
        return trimmed(torch.where(dropped[:, None], empty, tokens))

    def sample(self, net: UNet, rows: int, rng: torch.Generator) -> Tensor:
        """The prompts in turn, in a few deterministic steps, with guidance and without a style."""
        tokens = self.prompts[torch.arange(rows) % len(self.prompts)]
        cond = self.text_tower.encode(trimmed(tokens))
        empty = self.text_tower.tokenizer.table([""] * rows, cond.states.shape[1])
        uncond = self.text_tower.encode(empty)
        x = torch.randn(rows, net.channels, net.size, net.size, generator=rng).to(self.device)
        style = torch.full((rows,), net.classes, device=self.device)

        def guided(noisy: Tensor, t: Tensor) -> Tensor:
            with_text, without = net(noisy, t, style, cond), net(noisy, t, style, uncond)
            output: Tensor = without + GUIDANCE * (with_text - without)
            return output

        with mixed(self.device):
            x = sketched(self.schedule, x, guided)
        images = [self.autoencoder.decode(z) for z in torch.split(x.cpu(), 16)]
        return torch.cat(images).add(1).div(2).clamp(0, 1)
