"""Training of an adversarial network that makes clips: a critic of clips, and one of their frames.

The non-saturating loss with a lazy R1 penalty (Karras et al. 2020, 1912.04958, appendix B) and
augmentation (Zhao et al. 2020), as for pictures; a critic of single frames beside that of clips
(Tulyakov et al. 2018, 1707.04993, section 3); clips with what another is called are wrong, too
(Reed et al. 2016, 1605.05396, section 4.2). A moving average of the generator is what is served.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.video_gan import FrameCritic, VideoCritic, VideoGenerator
from training.loop.state import Resumable, Stateful, state_on_cpu
from training.optim.amp import mixed
from training.optim.augment import diff_augment, diff_augment_clips
from training.optim.ema import GeneratorAverage
from training.optim.init import initialise, scale_normal
from training.optim.losses import logistic_discriminator, nonsaturating_generator, r1_penalty
from training.optim.schedules import Part, level_then_line, set_rate
from training.recipe import Batch


@dataclass(frozen=True, slots=True)
class VideoGANSettings:
    """Adam's rates are level, then fall along a line over the last `cool` of the steps."""

    steps: int
    generator_rate: float = 3e-4
    critic_rate: float = 3e-4
    beta1: float = 0.0
    beta2: float = 0.99
    r1: float = 1.0
    r1_every: int = 16
    frames: int = 2  # of each clip, that the critic of frames sees
    half_life: int = 10_000
    cool: Part = 0.4
    seed: int = 0


class VideoGANLearner(Resumable):
    """Batches: clips (B, F, 3, S, S) uint8, and their texts as vectors (B, texts, width)."""

    refusal = "a GAN can't begin from a checkpoint: its critics are in none"

    def __init__(
        self, card: Header, judge: dict[str, Any], settings: VideoGANSettings, device: torch.device
    ) -> None:
        net: dict[str, Any] = dict(card.net)
        rng = torch.Generator().manual_seed(settings.seed)
        seen = {k: net[k] for k in ("told", "channels", "size") if k in net}
        self.generator = scale_normal(initialise(VideoGenerator(**net), rng), rng).to(device)
        critic = VideoCritic(**judge, **seen, frames=self.generator.frames)
        self.critic = initialise(critic, rng).to(device)
        self.frame_critic = initialise(FrameCritic(**judge, **seen), rng).to(device)
        self.average = GeneratorAverage(self.generator, settings.half_life)
        self.settings, self.device = settings, device
        self.last_texts = torch.zeros(1, self.generator.cond_dim)
        self.generator_optimiser = self._adam([self.generator], settings.generator_rate)
        critics: list[nn.Module] = [self.critic, self.frame_critic]
        self.critic_optimiser = self._adam(critics, settings.critic_rate)

    def _adam(self, nets: list[nn.Module], rate: float) -> torch.optim.Adam:
        betas = (self.settings.beta1, self.settings.beta2)
        return torch.optim.Adam(
            [p for net in nets for p in net.parameters()], rate, betas, fused=True
        )

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        real = batch[0].to(self.device).float().div_(127.5).sub_(1)
        flip = (torch.rand(len(real), 1, 1, 1, 1, generator=rng) < 0.5).to(self.device)
        real = torch.where(flip, real.flip(-1), real)
        cond = self._drawn_texts(batch, rng)
        self._set_rates()
        fake = self._draw(self._latents(len(real), rng), cond)
        judged = self._improve_critics(real, fake.detach(), cond, rng)
        loss = self._improve_generator(fake, cond, rng)
        self.steps += 1
        self.average.follow(self.generator, self.steps, len(real))
        names = ("loss", "critic", "on_real", "on_fake")
        values: list[float] = torch.stack([loss, *judged]).tolist()
        return dict(zip(names, values, strict=True))

    def _drawn_texts(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """One of its texts for every clip."""
        rows = len(batch[0])
        if not self.generator.cond_dim:
            return torch.empty(rows, 0, device=self.device)
        pick = torch.randint(batch[1].shape[1], (rows,), generator=rng)
        self.last_texts = batch[1][torch.arange(rows), pick].float()
        return self.last_texts.to(self.device)

    def _set_rates(self) -> None:
        settings = self.settings
        factor = level_then_line(self.steps, settings.steps, settings.cool, floor=0.02)
        set_rate(self.generator_optimiser, settings.generator_rate * factor)
        set_rate(self.critic_optimiser, settings.critic_rate * factor)

    def _latents(self, rows: int, rng: torch.Generator) -> Tensor:
        return torch.randn(rows, self.generator.latent, generator=rng).to(self.device)

    def _draw(self, z: Tensor, cond: Tensor) -> Tensor:
        with mixed(self.device):
            x: Tensor = self.generator(z, cond)
        return x.float()

    def _judge(self, clips: Tensor, cond: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits of clips (B,), and of some of their frames (B n,)."""
        some = self.settings.frames
        which = torch.randint(clips.shape[1], (len(clips), some), generator=rng).to(self.device)
        row = torch.arange(len(clips), device=self.device)[:, None]
        pictures = diff_augment(clips[row, which].flatten(0, 1), rng)
        moving = diff_augment_clips(clips, rng)
        with mixed(self.device):
            each: Tensor = self.frame_critic(pictures, cond.repeat_interleave(some, 0))
            whole: Tensor = self.critic(moving, cond)
        return whole, each

    def _improve_critics(
        self, real: Tensor, fake: Tensor, cond: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        on_real, on_fake = self._judge(real, cond, rng), self._judge(fake, cond, rng)
        pairs = zip(on_real, on_fake, strict=True)
        loss = sum((logistic_discriminator(r, f).mean() for r, f in pairs), torch.zeros(()))
        if self.generator.cond_dim:
            wrong = self._judge(real, cond.roll(1, 0), rng)
            loss = loss + sum(F.softplus(w).mean() for w in wrong) / 2
        self.critic_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._tame(real, cond, rng)
        self.critic_optimiser.step()
        return loss.detach(), on_real[0].mean().detach(), on_fake[0].mean().detach()

    def _tame(self, real: Tensor, cond: Tensor, rng: torch.Generator) -> None:
        """R1 in single precision on half of the clips, for the steps skipped too."""
        settings = self.settings
        if not settings.r1 or self.steps % settings.r1_every:
            return
        half = max(1, len(real) // 2)
        clips, some = diff_augment_clips(real[:half], rng), cond[:half]
        slopes = r1_penalty(lambda x: self.critic(x, some), clips) / clips.shape[1]
        slopes = slopes + r1_penalty(lambda x: self.frame_critic(x, some), clips[:, 0])
        torch.autograd.backward(settings.r1 / 2 * settings.r1_every * slopes.mean())

    def _improve_generator(self, fake: Tensor, cond: Tensor, rng: torch.Generator) -> Tensor:
        for critic in (self.critic, self.frame_critic):
            critic.requires_grad_(False)
        whole, each = self._judge(fake, cond, rng)
        loss = nonsaturating_generator(whole).mean() + nonsaturating_generator(each).mean()
        self.generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.generator_optimiser.step()
        for critic in (self.critic, self.frame_critic):
            critic.requires_grad_(True)
        return loss.detach()

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """Frames of clips one after another, of the texts that were learnt from last."""
        self._settle()
        count = -(-rows // self.average.net.frames)
        x = self.average.net(self._latents(count, rng), self._texts(count))
        pictures: Tensor = x.flatten(0, 1)[:rows].add(1).div(2).float().cpu()
        return pictures

    def _texts(self, count: int) -> Tensor:
        """The texts that were learnt from last, in turn."""
        return self.last_texts[torch.arange(count) % len(self.last_texts)].to(self.device)

    def weights(self) -> dict[str, Tensor]:
        self._settle()
        return state_on_cpu(self.average.net)

    def state(self) -> dict[str, Any]:
        self._settle()
        return super().state() | {"told": self.last_texts}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.average.measured_at = self.steps
        self.last_texts = state["told"].cpu()

    def components(self) -> dict[str, Stateful]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "frame_critic": self.frame_critic,
            "average": self.average.net,
            "generator_optimiser": self.generator_optimiser,
            "critic_optimiser": self.critic_optimiser,
        }

    def _settle(self) -> None:
        """Measures the average's batch norm over fixed draws."""
        rng = torch.Generator().manual_seed(self.settings.seed)
        self.average.measure_norms(
            self.steps, lambda: self.average.net(self._latents(32, rng), self._texts(32))
        )
