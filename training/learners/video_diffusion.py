"""Training of moving pictures: diffusion over the latents of a clip's frames, told what to show.

It begins with a net that paints (Singer et al. 2022, 2209.14792), and stills are learnt from beside
the clips (Ho et al. 2022, 2204.03458, section 3), so that what never moved here is not forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.diffusion.noise_schedule import NoiseSchedule
from models.nets.unet import Guess, TextCondition
from models.nets.video_unet import VideoUNet
from training.components import part
from training.learners.diffusion import start_silent
from training.learners.quick_sample import sketched
from training.learners.video_texts import STYLE, MovingWords
from training.loop.state import Kept, state_of, take_back
from training.loop.warm_start import begin_average
from training.optim.amp import mixed
from training.optim.ema import Average
from training.optim.init import initialise
from training.optim.schedules import warm_cosine
from training.pretrained import autoencoder_of_part
from training.recipe import Batch

GUIDANCE = 3.0  # of the samples on the way
NEW = "across"  # what the names of the layers have that the net began without


@dataclass(frozen=True, slots=True)
class MovingSettings:
    """AdamW's rates warm up, then fall along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 1e-3  # of the layers over time
    painter_rate: float = 3e-4  # of the layers that could paint before
    weight_decay: float = 0.01
    warmup: int = 200
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.999  # of the average
    text_dropout: float = 0.1  # Ho and Salimans 2022, algorithm 1
    style_dropout: float = 0.2
    seen: float = 0.4  # of the clips, a frame is seen in the place of a guess
    blur: float = 0.5  # the largest deviation of the noise on it
    stills: int = 192  # beside each batch of clips
    style: int = STYLE  # of all clips
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Lesson:
    """Latents (B, F, C, H, W) with what is told of them."""

    z0: Tensor
    texts: Tensor  # (B,) numbers
    style: Tensor  # (B,)
    seen: float  # the part of which a frame is seen


class MovingLearner:
    """A U-Net over clips that predicts v (Salimans and Ho 2022, appendix D).

    Batches: latents (B, 2, F, C, H, W) float16, as they are and mirrored, and the numbers of texts
    (B, 4). A clip begins anywhere in its loop. What is drawn is drawn on the device, from a
    generator that `rng` seeds.
    """

    def __init__(
        self,
        card: Header,
        painter: Checkpoint,
        words: MovingWords,
        settings: MovingSettings,
        device: torch.device,
    ) -> None:
        parts: dict[str, Any] = dict(card.net)
        built = initialise(VideoUNet(**parts["unet"]), torch.Generator().manual_seed(settings.seed))
        start_silent(built)
        take_painter(built, painter)
        self.net = built.to(device).to(memory_format=torch.channels_last)
        self.process = NoiseSchedule.of(card.process)
        self.shared = float(card.process["shared"])  # type: ignore[arg-type]
        self.frames = int(card.net["frames"])  # type: ignore[arg-type]
        self.settings, self.device, self.steps = settings, device, 0
        self.guess = guess_of_part().to(device)
        self.autoencoder = autoencoder_of_part(part("autoencoder-emoji"))[0].to(device)
        self.words = words.to(device)
        self.average = Average(self.net, settings.decay)
        self.optimiser = torch.optim.AdamW(
            self._groups(), settings.rate, weight_decay=settings.weight_decay, fused=True
        )

    def _groups(self) -> list[dict[str, Any]]:
        named = dict(self.net.named_parameters())
        return [
            {"params": [p for name, p in named.items() if (NEW in name) == new]}
            for new in (True, False)
        ]

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        dice = torch.Generator(self.device)
        dice.manual_seed(int(torch.randint(2**31, (), generator=rng)))
        moving = self._error(self._clips(batch, dice), dice)
        still = self._error(self._stills(dice), dice) if self.settings.stills else moving * 0
        rows = self.settings.stills / (batch[0].shape[0] * batch[0].shape[2])
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(moving + rows * still)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self._set_rates()
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        loss, other, length = torch.stack([moving.detach(), still.detach(), norm]).tolist()
        return {"loss": loss, "still": other, "norm": length}

    def _set_rates(self) -> None:
        factor = warm_cosine(self.steps, self.settings.steps, self.settings.warmup)
        rates = (self.settings.rate, self.settings.painter_rate)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * factor

    def _clips(self, batch: Batch, dice: torch.Generator) -> _Lesson:
        both, numbers = (column.to(self.device, non_blocking=True) for column in batch)
        rows, _, frames = both.shape[:3]
        row = torch.arange(rows, device=self.device)
        mirrored, first, text = (
            self._whole(most, rows, dice) for most in (2, frames, numbers.shape[1])
        )
        place = (torch.arange(frames, device=self.device) + first[:, None]) % frames  # (B, F)
        z0 = both[row[:, None], mirrored[:, None], place].float()
        style = torch.full((rows,), self.settings.style, device=self.device)
        return _Lesson(z0, numbers[row, text], style, self.settings.seen)

    def _stills(self, dice: torch.Generator) -> _Lesson:
        words, count = self.words, self.settings.stills
        rows = self._whole(len(words.stills), count, dice)
        text = words.still_texts[rows, self._whole(words.still_texts.shape[1], count, dice)]
        return _Lesson(words.stills[rows][:, None].float(), text, words.still_style[rows], 0.0)

    def _error(self, lesson: _Lesson, dice: torch.Generator) -> Tensor:
        z0, rows = lesson.z0, len(lesson.z0)
        t = self._whole(len(self.process.alpha_bar), rows, dice)
        noise = mixed_noise(z0.shape, self.shared, dice)
        a = self.process.alpha_bar.to(self.device)[t].view(-1, 1, 1, 1, 1)
        noisy, target = (
            a.sqrt() * z0 + (1 - a).sqrt() * noise,
            a.sqrt() * noise - (1 - a).sqrt() * z0,
        )
        style = self._dropped(lesson.style, self.net.classes, self.settings.style_dropout, dice)
        told = self.words.told(self._dropped(lesson.texts, 0, self.settings.text_dropout, dice))
        with mixed(self.device):
            expected = self._expected(lesson, told, style, dice)
            said = self.net(noisy, t.float(), style, told, expected).float()
        return F.mse_loss(said, target)

    def _expected(
        self, lesson: _Lesson, told: TextCondition, style: Tensor, dice: torch.Generator
    ) -> Tensor:
        """A guess, or the first frame, each with noise of a deviation of its own."""
        rows = len(lesson.z0)
        seen = self._part(rows, dice) < lesson.seen
        with torch.no_grad():
            guess = self.guess(told.pooled, style).float()
        picture = torch.where(seen, lesson.z0[:, 0], guess)
        noise = torch.randn(picture.shape, generator=dice, device=self.device)
        expected: Tensor = picture + self.settings.blur * self._part(rows, dice) * noise
        return expected

    def _dropped(self, told: Tensor, none: int, part: float, dice: torch.Generator) -> Tensor:
        return torch.where(self._part(len(told), dice).flatten() < part, none, told)

    def _whole(self, most: int, rows: int, dice: torch.Generator) -> Tensor:
        return torch.randint(most, (rows,), generator=dice, device=self.device)

    def _part(self, rows: int, dice: torch.Generator) -> Tensor:
        return torch.rand(rows, 1, 1, 1, generator=dice, device=self.device)

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """Frames of clips one after another, of names in the order of the cache, guided."""
        net, words, frames = self.average.net, self.words, self.frames
        count = -(-rows // frames)
        apart = max(1, len(words.clip_texts) // count)
        numbers = words.clip_texts[::apart, 0][:count]
        told, free = words.told(numbers), words.told(torch.zeros_like(numbers))
        style = torch.full((count,), self.settings.style, device=self.device)
        none = torch.full_like(style, net.classes)
        expected = self.guess(told.pooled, style), self.guess(free.pooled, none)
        shape = (count, frames, net.channels, net.size, net.size)
        x = mixed_noise(shape, self.shared, rng).to(self.device)

        def guided(noisy: Tensor, t: Tensor) -> Tensor:
            with_text = net(noisy, t, style, told, expected[0]).float()
            without = net(noisy, t, none, free, expected[1]).float()
            said: Tensor = without + GUIDANCE * (with_text - without)
            return said

        with mixed(self.device):
            z = sketched(self.process, x, guided).flatten(0, 1)
        parts = [self.autoencoder.decode(few).float().cpu() for few in torch.split(z, 64)]
        return torch.cat(parts)[:rows].add(1).div(2).clamp(0, 1)

    def weights(self) -> dict[str, Tensor]:
        unet = {k: v.contiguous().cpu() for k, v in self.average.net.state_dict().items()}
        return {f"unet.{k}": v for k, v in unet.items()}

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        begin_average(self.net, self.average, weights, "unet.")

    def state(self) -> dict[str, Any]:
        return state_of(self.steps, self._parts())

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = take_back(state, self._parts())

    def _parts(self) -> dict[str, Kept]:
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser}


def mixed_noise(shape: tuple[int, ...], shared: float, rng: torch.Generator) -> Tensor:
    """Standard normal, (B, F, ...), of which all frames of a clip have a part in common.

    Ge et al. 2023 (2305.10474), section 4.2: a net that painted single pictures then meets in the
    frames' mean the noise that it knows.
    """
    each = torch.randn(shape, generator=rng, device=rng.device)
    if shape[1] == 1:
        return each
    common = torch.randn((shape[0], 1, *shape[2:]), generator=rng, device=rng.device)
    noise: Tensor = shared**0.5 * common + (1 - shared) ** 0.5 * each
    return noise


def take_painter(net: VideoUNet, painter: Checkpoint) -> None:
    """The weights of a U-Net of pictures, but for its guess: all that the net has not over time."""
    own = {
        k.removeprefix("unet."): v.float()
        for k, v in painter.tensors.items()
        if k.startswith("unet.") and not k.startswith("unet.guess.")
    }
    new = {k: v for k, v in net.state_dict().items() if NEW in k}
    net.load_state_dict(own | new)


def guess_of_part() -> Guess:
    held = part("guess-emoji")
    config: dict[str, Any] = dict(held.header.net)
    guess = Guess(**config)
    guess.load_state_dict({k: v.float() for k, v in held.tensors.items()})
    return guess.eval().requires_grad_(False)
