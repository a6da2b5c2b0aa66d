"""Training of an adversarial network that makes clips: a critic of clips, and one of their frames.

All are in the latents of an autoencoder, as in latent diffusion (Rombach et al. 2022). The
non-saturating loss with a lazy R1 penalty (Karras et al. 2020, 1912.04958, appendix B) and
augmentation (Zhao et al. 2020), as for pictures; a critic of single frames beside that of clips
(Tulyakov et al. 2018, 1707.04993, section 3); clips with what another is called are wrong, too
(Reed et al. 2016, 1605.05396, section 4.2). At first the generator alone learns, to reconstruct the
clip of each text, and that loss stays beside the critics' (Isola et al. 2017, 1611.07004, equation
4). A moving average of the generator is what is served.
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
from training.optim.augment import augment_latents
from training.optim.ema import GeneratorAverage
from training.optim.init import initialise, scale_normal
from training.optim.losses import logistic_discriminator, nonsaturating_generator, r1_penalty
from training.optim.schedules import Part, level_then_line, set_rate
from training.pretrained import load_autoencoder, load_guess
from training.recipe import Batch


@dataclass(frozen=True, slots=True)
class VideoGANSettings:
    """Over the first `alone` of the steps there are no critics, and the rate is `first_rate`. Then
    Adam's rates are level, and fall along a line over the last `cool` of the steps."""

    steps: int
    alone: Part = 0.6
    first_rate: float = 1e-3
    generator_rate: float = 2e-4
    critic_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.99
    reconstruction: float = 5.0  # weight of the L1 distance beside the critics' losses
    r1: float = 1.0
    r1_every: int = 16
    frames: int = 4  # of each clip, that the critic of frames sees
    half_life: int = 5_000
    cool: Part = 0.3
    seed: int = 0


class VideoGANLearner(Resumable):
    """Batches: latents (B, 2, F, C, S, S) float16, as they are and mirrored, and their texts as
    vectors (B, texts, width)."""

    refusal = "a GAN can't begin from a checkpoint: its critics are in none"

    def __init__(
        self, card: Header, judge: dict[str, Any], settings: VideoGANSettings, device: torch.device
    ) -> None:
        net: dict[str, Any] = dict(card.net)
        rng = torch.Generator().manual_seed(settings.seed)
        self.generator = scale_normal(initialise(VideoGenerator(**net), rng), rng).to(device)
        seen = {k: getattr(self.generator, k) for k in ("text_dim", "channels", "size")}
        critic = VideoCritic(**seen, frames=self.generator.frames, width=judge["width"])
        self.critic = initialise(critic, rng).to(device)
        frame_critic = FrameCritic(**seen, width=2 * judge["width"])
        self.frame_critic = initialise(frame_critic, rng).to(device)
        self.average = GeneratorAverage(self.generator, settings.half_life)
        self.guess, self.autoencoder = load_guess().to(device), load_autoencoder().to(device)
        self.settings, self.device = settings, device
        self.last_texts = torch.zeros(1, self.generator.text_dim)
        self.generator_optimiser = self._adam([self.generator], settings.generator_rate)
        critics: list[nn.Module] = [self.critic, self.frame_critic]
        self.critic_optimiser = self._adam(critics, settings.critic_rate)

    def _adam(self, nets: list[nn.Module], rate: float) -> torch.optim.Adam:
        betas = (self.settings.beta1, self.settings.beta2)
        return torch.optim.Adam(
            [p for net in nets for p in net.parameters()], rate, betas, fused=True
        )

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        rows = len(batch[0])
        texts = self._drawn_texts(batch[1], rng)
        self._set_rates()
        z = self._latents(rows, rng)
        distance = self._reconstruct(batch[0], z, texts)
        if self.alone:
            self._descend(distance)
            losses = {"loss": distance.item()}
        else:
            losses = self._compete(batch[0], distance, z, texts, rng)
        self.steps += 1
        self.average.follow(self.generator, self.steps, rows)
        return losses

    @property
    def alone(self) -> bool:
        """Whether the critics are still to come."""
        return self.steps < self.settings.alone * self.settings.steps

    def _reconstruct(self, clips: Tensor, z: Tensor, texts: Tensor) -> Tensor:
        """The L1 distance from each clip, as it is, of what its text makes without a blur.

        Beside critics it is that of the mean frames, since wrong motion is farther than none.
        """
        fake, real = self._draw(self.generator, z, texts), clips[:, 0].to(self.device).float()
        if not self.alone:
            fake, real = fake.mean(1), real.mean(1)
        return F.l1_loss(fake, real)

    def _compete(
        self, clips: Tensor, distance: Tensor, z: Tensor, texts: Tensor, rng: torch.Generator
    ) -> dict[str, float]:
        """A step of the critics, then one of the generator."""
        mirrored = torch.randint(2, (len(clips),), generator=rng)
        real = clips[torch.arange(len(clips)), mirrored].to(self.device).float()
        cond = self.generator.blur_text(z, texts)
        fake = self._draw(self.generator, z, cond)
        judged = self._improve_critics(real, fake.detach(), cond, rng)
        loss = self._improve_generator(fake, distance, cond, rng)
        names = ("loss", "distance", "critic", "on_real", "on_fake")
        values: list[float] = torch.stack([loss, distance.detach(), *judged]).tolist()
        return dict(zip(names, values, strict=True))

    def _drawn_texts(self, texts: Tensor, rng: torch.Generator) -> Tensor:
        """One of its texts for every clip."""
        pick = torch.randint(texts.shape[1], (len(texts),), generator=rng)
        self.last_texts = texts[torch.arange(len(texts)), pick].float()
        return self.last_texts.to(self.device)

    def _set_rates(self) -> None:
        settings = self.settings
        factor = level_then_line(self.steps, settings.steps, settings.cool, floor=0.02)
        rate = settings.first_rate if self.alone else settings.generator_rate * factor
        set_rate(self.generator_optimiser, rate)
        set_rate(self.critic_optimiser, settings.critic_rate * factor)

    def _latents(self, rows: int, rng: torch.Generator) -> Tensor:
        return torch.randn(rows, self.generator.latent, generator=rng).to(self.device)

    def _draw(self, net: VideoGenerator, z: Tensor, cond: Tensor) -> Tensor:
        """Clips of texts that are blurred already."""
        style = torch.full((len(z),), net.style, device=self.device)
        with torch.no_grad():
            expected = self.guess(cond, style)
        with mixed(self.device):
            x: Tensor = net(z, cond, expected)
        return x.float()

    def _judge(self, clips: Tensor, cond: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits of clips (B,), and of some of their frames (B n,)."""
        some = self.settings.frames
        which = torch.randint(clips.shape[1], (len(clips), some), generator=rng).to(self.device)
        row = torch.arange(len(clips), device=self.device)[:, None]
        frames = augment_latents(clips[row, which].flatten(0, 1)[:, None], rng)[:, 0]
        moving = augment_latents(clips, rng)
        with mixed(self.device):
            each: Tensor = self.frame_critic(frames, cond.repeat_interleave(some, 0))
            whole: Tensor = self.critic(moving, cond)
        return whole, each

    def _improve_critics(
        self, real: Tensor, fake: Tensor, cond: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        on_real, on_fake = self._judge(real, cond, rng), self._judge(fake, cond, rng)
        pairs = zip(on_real, on_fake, strict=True)
        loss = sum((logistic_discriminator(r, f).mean() for r, f in pairs), torch.zeros(()))
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
        clips, some = augment_latents(real[:half], rng), cond[:half]
        slopes = r1_penalty(lambda x: self.critic(x, some), clips) / clips.shape[1]
        slopes = slopes + r1_penalty(lambda x: self.frame_critic(x, some), clips[:, 0])
        torch.autograd.backward(settings.r1 / 2 * settings.r1_every * slopes.mean())

    def _improve_generator(
        self, fake: Tensor, distance: Tensor, cond: Tensor, rng: torch.Generator
    ) -> Tensor:
        for critic in (self.critic, self.frame_critic):
            critic.requires_grad_(False)
        whole, each = self._judge(fake, cond, rng)
        loss = nonsaturating_generator(whole).mean() + nonsaturating_generator(each).mean()
        self._descend(loss + self.settings.reconstruction * distance)
        for critic in (self.critic, self.frame_critic):
            critic.requires_grad_(True)
        return loss.detach()

    def _descend(self, loss: Tensor) -> None:
        self.generator_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.generator_optimiser.step()

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """Frames of clips one after another, of the texts that were learnt from last."""
        self._settle()
        count = -(-rows // self.average.net.frames)
        z = self._clips_of_last_texts(count, rng).flatten(0, 1)[:rows]
        pictures: Tensor = self.autoencoder.decode(z).add(1).div(2).clamp(0, 1).float().cpu()
        return pictures

    def _clips_of_last_texts(self, count: int, rng: torch.Generator) -> Tensor:
        """Clips by the average, of the texts that were learnt from last, in turn."""
        z, net = self._latents(count, rng), self.average.net
        texts = self.last_texts[torch.arange(count) % len(self.last_texts)].to(self.device)
        return self._draw(net, z, net.blur_text(z, texts))

    def weights(self) -> dict[str, Tensor]:
        self._settle()
        return state_on_cpu(self.average.net)

    def state(self) -> dict[str, Any]:
        self._settle()
        return super().state() | {"texts": self.last_texts}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.average.measured_at = self.steps
        self.last_texts = state["texts"].cpu()

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
        self.average.measure_norms(self.steps, lambda: self._clips_of_last_texts(32, rng))
