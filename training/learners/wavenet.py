"""Trains a WaveNet: each sample's class from the true ones before it, on random crops."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.audio import mulaw
from models.audio.wavenet import stepping
from models.audio.wavenet_torch import Draws, Stacked
from models.checkpoint.configs import SoundProcess
from models.checkpoint.header import CheckpointError, Header
from models.nets.wavenet import WaveNetModel
from training.errors import TrainingRefused
from training.learners.standard import Objective
from training.metrics.audio.linear_predictor import linear_bits
from training.metrics.audio.mel import mel_pictures
from training.optim.amp import mixed
from training.optim.init import embed_normal, initialise
from training.recipe import Batch, Data

CPU = torch.device("cpu")
BIT = math.log(2)  # in nats
MEASURED = 48  # held-out rows at most, of which the bits are measured


@dataclass(frozen=True, slots=True)
class WaveNetSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    crop: int = 50  # frames of a row that are learnt from at a time
    rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 200
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.999  # of the average
    free: float = 0.1  # crops without score and style, so that it can play on its own
    style_dropout: float = 0.1  # and of the rest, without a style,
    score_dropout: float = 0.1  # or without a score
    shown: float = 0.5  # seconds of a clip on a sheet
    compiled: bool = False  # the step as one graph, on a GPU
    seed: int = 0


class WaveNetObjective(Objective[WaveNetModel]):
    """Cross-entropy in bits a sample: van den Oord et al. 2016, section 2.

    Columns: sound (N, samples), classes as uint8 or 16-bit samples as int16; rolls (N, frames,
    pitches) uint8, 255 being 1; styles (N,) int64. A row has as many samples as its frames have.
    """

    settings: WaveNetSettings

    def __init__(self, card: Header, settings: WaveNetSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        rng = torch.Generator().manual_seed(settings.seed)
        self.net = embed_normal(initialise(WaveNetModel(**config), rng), rng).to(device)
        self.rate = whole_rate(card.process)
        self.settings, self.device, self.max_norm = settings, device, settings.clip
        self.bits = self._bits
        if settings.compiled and device.type == "cuda":  # a processor gains little, and waits long
            self.bits = torch.compile(self._bits)
        self.last_batch: tuple[Tensor, Tensor] | None = None  # rolls and styles

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        self.last_batch = batch[1], batch[2]
        sound, roll, style = _checked(self.net, tuple(c.to(self.device) for c in batch))
        frames = min(self.settings.crop, roll.shape[1])
        first = torch.randint(roll.shape[1] - frames + 1, (len(roll),), generator=rng)
        first = first.to(self.device)
        previous, target = _crops(self.net, sound, first, frames)
        roll, style = self.dropped(_windows(self.net, roll, first, frames), style, rng)
        with mixed(self.device):
            return self.bits(previous, target, roll, style), {}

    def _bits(self, previous: Tensor, target: Tensor, roll: Tensor, style: Tensor) -> Tensor:
        logits: Tensor = self.net(previous, roll, style)
        return F.cross_entropy(logits.float().flatten(0, 1), target.flatten()) / BIT

    def dropped(self, roll: Tensor, style: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Removes the score, the style, or both from some crops."""
        settings = self.settings
        chance = torch.rand(3, len(style), generator=rng).to(style.device)
        free = chance[0] < settings.free
        no_style = free | (chance[1] < settings.style_dropout)
        no_score = free | (chance[2] < settings.score_dropout)
        roll = torch.where(no_score[:, None, None], 0.0, roll)
        return roll, torch.where(no_style, self.net.styles, style)

    def sample(self, net: WaveNetModel, rows: int, rng: torch.Generator) -> Tensor:
        """Returns spectrograms, (rows, 1, 64, 64), of the scores of the last batch in turn.

        Before the first batch they are of styles in turn, without a score.
        """
        net = copy.deepcopy(net).to(CPU)
        frames = max(1, round(self.settings.shown * self.rate / net.hop))
        roll, style = self._shown(net, rows, frames)
        return mel_pictures(played(net, roll, style, rng), self.rate)

    def _shown(self, net: WaveNetModel, rows: int, frames: int) -> tuple[Tensor, Tensor]:
        turn = torch.arange(rows)
        if self.last_batch is None:
            return net.unscored(frames).expand(rows, -1, -1), turn % (net.styles + 1)
        rolls, styles = self.last_batch
        turn = turn % len(styles)
        roll = F.pad(rolls[turn, :frames], (0, 0, 0, max(0, frames - rolls.shape[1])))
        return net.scored(roll.float() / 255), styles[turn]


def _checked(net: WaveNetModel, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Raises TrainingRefused for columns that don't fit the net, or each other."""
    sound, roll, style = batch
    if sound.shape[1] != roll.shape[1] * net.hop or roll.shape[2] != net.pitches:
        raise TrainingRefused(
            f"rows of {sound.shape[1]} samples with rolls of {tuple(roll.shape[1:])} don't fit a "
            f"net of {net.pitches} pitches and {net.hop} samples a frame"
        )
    if sound.dtype not in (torch.uint8, torch.int16):
        raise TrainingRefused(f"sound must be classes in uint8 or int16, not {sound.dtype}")
    return sound, roll, style


def _crops(net: WaveNetModel, sound: Tensor, first: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Classes of each sample and of the one before it, (B, frames x hop) each, from a frame on."""
    silence = mulaw.encode(torch.zeros(()), net.classes).to(sound.device)
    samples = torch.arange(frames * net.hop, device=sound.device)
    index = (first * net.hop)[:, None] + samples
    target = _classes(net, sound.gather(1, index))
    before = _classes(net, sound.gather(1, (index[:, :1] - 1).clamp(min=0)))
    before = torch.where(first[:, None] > 0, before, silence)
    return torch.cat([before, target[:, :-1]], 1), target


def _classes(net: WaveNetModel, sound: Tensor) -> Tensor:
    if sound.dtype == torch.uint8:
        return sound.long()
    return mulaw.encode(sound.float() / 32768, net.classes)


def _windows(net: WaveNetModel, roll: Tensor, first: Tensor, frames: int) -> Tensor:
    """As `WaveNetModel.condition` takes them, of each row from a frame on."""
    whole = net.scored(roll.float() / 255)
    index = first[:, None] + torch.arange(frames + 2 * net.around, device=roll.device)
    return whole.gather(1, index[..., None].expand(-1, -1, whole.shape[2]))


@torch.inference_mode()
def played(net: WaveNetModel, roll: Tensor, style: Tensor, rng: torch.Generator) -> Tensor:
    """Sound (B, frames x hop) of rolls (B, frames + 2 around, pitches + 1), as it is served."""
    weights = Stacked(net)
    advance, _, _ = stepping(weights, CPU)
    cond = net.condition(roll, style)
    uniforms = torch.rand(len(style), cond.shape[1] * net.hop, generator=rng)
    rings, length, last = (state.expand(len(style), *state.shape) for state in weights.silence())
    ones = torch.ones(len(style))
    return advance((rings, length, last), cond, Draws(uniforms, ones, ones))[0]


def whole_rate(process: Mapping[str, Any]) -> int:
    """Samples a second. Raises TrainingRefused for what can't be served."""
    try:
        return SoundProcess.parse(process).rate
    except CheckpointError as error:
        raise TrainingRefused(str(error)) from None


@torch.inference_mode()
def measure_bits(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """Bits a sample over held-out rows, spread over all of them: told all, told nothing; by a
    linear predictor of each style, and knowing nothing."""
    config: dict[str, Any] = dict(card.net)
    net = WaveNetModel(**config).eval()
    net.load_state_dict(weights)
    sums = {"test_bits": 0.0, "test_bits_untold": 0.0}
    rows = sorted({i * len(data.test[0]) // MEASURED for i in range(MEASURED)})
    for row in rows:
        sound, roll, style = _checked(net, tuple(c[row : row + 1] for c in data.test))
        frames, first = roll.shape[1], torch.zeros(1, dtype=torch.long)
        previous, target = _crops(net, sound, first, frames)
        window = _windows(net, roll, first, frames)
        none = torch.full_like(style, net.styles)
        conditions = ((window, style), (torch.zeros_like(window), none))
        for name, cond in zip(sums, conditions, strict=True):
            logits = net(previous, *cond).flatten(0, 1)
            sums[name] += F.cross_entropy(logits, target.flatten()).item() / BIT
    figures = {name: total / len(rows) for name, total in sums.items()}
    known, asked = (
        _classed(net, columns) for columns in (data.train, tuple(c[rows] for c in data.test))
    )
    figures["test_bits_linear"] = linear_bits(known, asked, net.classes)
    figures["test_bits_uniform"] = math.log2(net.classes)
    return {name: round(value, 4) for name, value in figures.items()}


def _classed(net: WaveNetModel, columns: Batch) -> tuple[Tensor, Tensor]:
    """Sound as classes in uint8 where it can be, and styles."""
    sound, _, style = columns
    return (sound if sound.dtype == torch.uint8 else _classes(net, sound)), style
