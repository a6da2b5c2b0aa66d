"""Training of text to image: diffusion over an autoencoder's latents, told what to show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.diffusion.noise_schedule import NoiseSchedule
from models.nets.unet import TextCondition, UNet
from training.components import part
from training.learners.clip import trimmed
from training.learners.diffusion import start_silent
from training.learners.quick_sample import sketched
from training.loop.state import Kept, state_of, take_back
from training.loop.warm_start import begin_average
from training.optim.amp import mixed
from training.optim.ema import Average
from training.optim.init import initialise
from training.optim.schedules import set_rate, warm_cosine
from training.pretrained import FrozenTextTower, autoencoder_of_part
from training.recipe import Batch

GUIDANCE = 3.0  # of the samples on the way


@dataclass(frozen=True, slots=True)
class PaintingSettings:
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


class PaintingLearner:
    """A U-Net that predicts v (Salimans and Ho 2022, appendix D) at levels drawn evenly, from the
    states of a text tower that stays as it is. Texts and sets of emoji are dropped now and then.

    A guess stays as it is, too, and gets noise of a deviation drawn anew for each picture, so that
    one that is wrong is not believed (Ho et al. 2022, 2106.15282, section 4.2).
    """

    def __init__(
        self, card: Header, prompts: list[str], settings: PaintingSettings, device: torch.device
    ) -> None:
        parts: dict[str, Any] = dict(card.net)
        built = initialise(UNet(**parts["unet"]), torch.Generator().manual_seed(settings.seed))
        start_silent(built)
        if built.guess is not None:
            held = {k: v.float() for k, v in part("guess-emoji").tensors.items()}
            built.guess.load_state_dict(held)
            built.guess.requires_grad_(False)
        self.net = built.to(device).to(memory_format=torch.channels_last)
        self.process = NoiseSchedule.of(card.process)
        self.settings, self.device, self.steps = settings, device, 0
        self.reader = FrozenTextTower.of(part("clip-emoji"), device)
        self.autoencoder, self.held = autoencoder_of_part(part("autoencoder-emoji"))
        self.prompts = self.reader.words.table(prompts, self.reader.context)
        self.average = Average(self.net, settings.decay)
        trained = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            trained, settings.rate, weight_decay=settings.weight_decay, fused=True
        )

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        z0, _, style, short, long = batch
        z0 = z0.to(self.device)
        t = torch.randint(len(self.process.alpha_bar), (len(z0),), generator=rng)
        eps = torch.randn(z0.shape, generator=rng).to(self.device)
        noisy, target = self.process.noised(z0, eps, t), self.process.target(z0, eps, t)
        dropped = torch.rand(len(style), generator=rng) < self.settings.style_dropout
        style = torch.where(dropped, self.net.classes, style).to(self.device)
        told = self.reader.read(self._tokens(short, long, rng))
        with mixed(self.device):
            noisy = noisy.contiguous(memory_format=torch.channels_last)
            guess = self._guess(told, style, rng)
            said = self.net(noisy, t.float().to(self.device), style, told, guess).float()
        loss = F.mse_loss(said, target)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        settings = self.settings
        factor = warm_cosine(self.steps, settings.steps, settings.warmup)
        set_rate(self.optimiser, settings.rate * factor)
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        return {"loss": loss.item(), "norm": norm.item()}

    def _guess(self, told: TextCondition, style: Tensor, rng: torch.Generator) -> Tensor | None:
        if self.net.guess is None:
            return None
        guess: Tensor = self.net.guess(told.pooled, style)
        deviation = self.settings.blur * torch.rand(len(guess), 1, 1, 1, generator=rng)
        noise = deviation * torch.randn(guess.shape, generator=rng)
        return guess + noise.to(self.device)

    def _tokens(self, short: Tensor, long: Tensor, rng: torch.Generator) -> Tensor:
        """One of its texts for every picture, or none, (B, L)."""
        texts = long if torch.rand((), generator=rng) < self.settings.long else short
        pick = torch.randint(texts.shape[1], (len(texts),), generator=rng)
        tokens = texts[torch.arange(len(texts)), pick].long()
        dropped = torch.rand(len(texts), generator=rng) < self.settings.text_dropout
        nothing = self.reader.words.table([""], tokens.shape[1])
        return trimmed(torch.where(dropped[:, None], nothing, tokens))

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """Known prompts in turn, in a few deterministic steps, guided, in no set's style."""
        net = self.average.net
        tokens = self.prompts[torch.arange(rows) % len(self.prompts)]
        told = self.reader.read(trimmed(tokens))
        free = self.reader.read(self.reader.words.table([""] * rows, told.states.shape[1]))
        x = torch.randn(rows, net.channels, net.size, net.size, generator=rng).to(self.device)
        style = torch.full((rows,), net.classes, device=self.device)

        def guided(noisy: Tensor, t: Tensor) -> Tensor:
            with_text, without = net(noisy, t, style, told), net(noisy, t, style, free)
            said: Tensor = without + GUIDANCE * (with_text - without)
            return said

        with mixed(self.device):
            x = sketched(self.process, x, guided)
        parts = [self.autoencoder.decode(z) for z in torch.split(x.cpu(), 16)]
        return torch.cat(parts).add(1).div(2).clamp(0, 1)

    def weights(self) -> dict[str, Tensor]:
        unet = {k: v.contiguous().cpu() for k, v in self.average.net.state_dict().items()}
        return {f"unet.{k}": v for k, v in unet.items()} | self.held

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        begin_average(self.net, self.average, weights, "unet.")

    def state(self) -> dict[str, Any]:
        return state_of(self.steps, self._parts())

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = take_back(state, self._parts())

    def _parts(self) -> dict[str, Kept]:
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser}
