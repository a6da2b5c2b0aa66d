"""Trains text to video: diffusion over the latents of a clip's frames, conditioned on text.

It starts from a net for images (Singer et al. 2022, 2209.14792), and learns from stills beside the
clips (Ho et al. 2022, 2204.03458, section 3), so that it does not forget what never moves here.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.configs import VideoProcess
from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.diffusion.noise_schedule import NoiseSchedule
from models.nets.unet import TextCondition
from models.nets.video_unet import VideoUNet
from training.learners.diffusion import start_silent
from training.learners.quick_sample import sketched
from training.learners.standard import Objective
from training.learners.video.video_texts import STYLE, VideoTexts
from training.optim.amp import mixed
from training.optim.init import initialise
from training.pretrained import load_autoencoder, load_guess
from training.recipe import Batch

GUIDANCE = 3.0  # of the samples on the way
NEW = "across"  # in the names of the layers over time


@dataclass(frozen=True, slots=True)
class VideoDiffusionSettings:
    """AdamW's rates warm up, then fall along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 1e-3  # of the layers over time
    painter_rate: float = 3e-4  # of the layers that the net for images has
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
class _Examples:
    """Latents (B, F, C, H, W) with their texts and styles."""

    z0: Tensor
    texts: Tensor  # (B,) numbers
    style: Tensor  # (B,)
    seen: float  # the fraction of clips of which a frame is seen


class VideoDiffusionObjective(Objective[VideoUNet]):
    """A U-Net over clips that predicts v (Salimans and Ho 2022, appendix D).

    Columns: latents (B, 2, F, C, H, W) float16, as they are and mirrored, and the numbers of texts
    (B, 4). A clip begins anywhere in its loop. All draws are made on the device, from a generator
    that `rng` seeds.
    """

    settings: VideoDiffusionSettings
    prefix = "unet."

    def __init__(
        self,
        card: Header,
        image_model: Checkpoint,
        texts: VideoTexts,
        settings: VideoDiffusionSettings,
        device: torch.device,
    ) -> None:
        config: dict[str, Any] = dict(card.net)
        net = initialise(VideoUNet(**config["unet"]), torch.Generator().manual_seed(settings.seed))
        start_silent(net)
        load_image_weights(net, image_model)
        self.net = net.to(device).to(memory_format=torch.channels_last)
        process = VideoProcess.parse(card.process)
        self.schedule, self.shared = NoiseSchedule.of(process), process.shared
        self.frames = int(config["frames"])
        self.settings, self.device, self.max_norm = settings, device, settings.clip
        self.guess = load_guess().to(device)
        self.autoencoder = load_autoencoder().to(device)
        self.texts = texts.to(device)

    def groups(self) -> list[dict[str, Any]]:
        named = dict(self.net.named_parameters())
        rates = ((True, self.settings.rate), (False, self.settings.painter_rate))
        return [
            {"params": [p for name, p in named.items() if (NEW in name) == new], "lr": rate}
            for new, rate in rates
        ]

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        dice = torch.Generator(self.device)
        dice.manual_seed(int(torch.randint(2**31, (), generator=rng)))
        moving = self._error(self._clips(batch, dice), dice)
        still = self._error(self._stills(dice), dice) if self.settings.stills else moving * 0
        rows = self.settings.stills / (batch[0].shape[0] * batch[0].shape[2])
        return moving + rows * still, {"loss": moving, "still": still}

    def _clips(self, batch: Batch, dice: torch.Generator) -> _Examples:
        both, numbers = (column.to(self.device, non_blocking=True) for column in batch)
        rows, _, frames = both.shape[:3]
        row = torch.arange(rows, device=self.device)
        mirrored, first, text = (
            self._whole(most, rows, dice) for most in (2, frames, numbers.shape[1])
        )
        frame = (torch.arange(frames, device=self.device) + first[:, None]) % frames  # (B, F)
        z0 = both[row[:, None], mirrored[:, None], frame].float()
        style = torch.full((rows,), self.settings.style, device=self.device)
        return _Examples(z0, numbers[row, text], style, self.settings.seen)

    def _stills(self, dice: torch.Generator) -> _Examples:
        texts, count = self.texts, self.settings.stills
        rows = self._whole(len(texts.stills), count, dice)
        text = texts.still_texts[rows, self._whole(texts.still_texts.shape[1], count, dice)]
        return _Examples(texts.stills[rows][:, None].float(), text, texts.still_style[rows], 0.0)

    def _error(self, examples: _Examples, dice: torch.Generator) -> Tensor:
        z0, rows = examples.z0, len(examples.z0)
        t = self._whole(len(self.schedule.alpha_bar), rows, dice)
        noise = mixed_noise(z0.shape, self.shared, dice)
        a = self.schedule.alpha_bar.to(self.device)[t].view(-1, 1, 1, 1, 1)
        noisy = a.sqrt() * z0 + (1 - a).sqrt() * noise
        target = a.sqrt() * noise - (1 - a).sqrt() * z0
        style = self._dropped(examples.style, self.net.classes, self.settings.style_dropout, dice)
        texts = self._dropped(examples.texts, 0, self.settings.text_dropout, dice)
        cond = self.texts.condition(texts)
        with mixed(self.device):
            expected = self._expected(examples, cond, style, dice)
            output = self.net(noisy, t.float(), style, cond, expected).float()
        return F.mse_loss(output, target)

    def _expected(
        self, examples: _Examples, cond: TextCondition, style: Tensor, dice: torch.Generator
    ) -> Tensor:
        """A guess, or the first frame, each with noise of a deviation of its own."""
        rows = len(examples.z0)
        seen = self._fraction(rows, dice) < examples.seen
        with torch.no_grad():
            guess = self.guess(cond.pooled, style).float()
        picture = torch.where(seen, examples.z0[:, 0], guess)
        noise = torch.randn(picture.shape, generator=dice, device=self.device)
        expected: Tensor = picture + self.settings.blur * self._fraction(rows, dice) * noise
        return expected

    def _dropped(self, cond: Tensor, none: int, chance: float, dice: torch.Generator) -> Tensor:
        return torch.where(self._fraction(len(cond), dice).flatten() < chance, none, cond)

    def _whole(self, most: int, rows: int, dice: torch.Generator) -> Tensor:
        return torch.randint(most, (rows,), generator=dice, device=self.device)

    def _fraction(self, rows: int, dice: torch.Generator) -> Tensor:
        return torch.rand(rows, 1, 1, 1, generator=dice, device=self.device)

    def sample(self, net: VideoUNet, rows: int, rng: torch.Generator) -> Tensor:
        """Frames of clips one after another, of names in the order of the cache, with guidance."""
        texts, frames = self.texts, self.frames
        count = -(-rows // frames)
        apart = max(1, len(texts.clip_texts) // count)
        numbers = texts.clip_texts[::apart, 0][:count]
        cond, uncond = texts.condition(numbers), texts.condition(torch.zeros_like(numbers))
        style = torch.full((count,), self.settings.style, device=self.device)
        none = torch.full_like(style, net.classes)
        expected = self.guess(cond.pooled, style), self.guess(uncond.pooled, none)
        shape = (count, frames, net.channels, net.size, net.size)
        x = mixed_noise(shape, self.shared, rng).to(self.device)

        def guided(noisy: Tensor, t: Tensor) -> Tensor:
            with_text = net(noisy, t, style, cond, expected[0]).float()
            without = net(noisy, t, none, uncond, expected[1]).float()
            output: Tensor = without + GUIDANCE * (with_text - without)
            return output

        with mixed(self.device):
            z = sketched(self.schedule, x, guided).flatten(0, 1)
        images = [self.autoencoder.decode(few).float().cpu() for few in torch.split(z, 64)]
        return torch.cat(images)[:rows].add(1).div(2).clamp(0, 1)


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


def load_image_weights(net: VideoUNet, image_model: Checkpoint) -> None:
    """Loads a U-Net of images, but for its guess, into all layers but those over time."""
    own = {
        k.removeprefix("unet."): v.float()
        for k, v in image_model.tensors.items()
        if k.startswith("unet.") and not k.startswith("unet.guess.")
    }
    new = {k: v for k, v in net.state_dict().items() if NEW in k}
    net.load_state_dict(own | new)
