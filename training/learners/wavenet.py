"""Training of a WaveNet: each sample's class from the true ones before it, on random crops."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn import functional as F

from models.audio import mulaw
from models.audio.config import sound_of
from models.audio.wavenet import stepping
from models.audio.wavenet_torch import Draws, Stacked
from models.checkpoint.header import CheckpointError, Header
from models.nets.wavenet import WaveNetModel
from training.errors import TrainingRefused
from training.loop.state import Kept, state_of, take_back
from training.loop.warm_start import begin_average
from training.metrics.mel import mel_pictures
from training.metrics.prediction import linear_bits
from training.optim.amp import mixed
from training.optim.ema import Average
from training.optim.init import embed_normal, initialise
from training.optim.schedules import set_rate, warm_cosine
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
    free: float = 0.1  # crops that are told nothing, so that it can play on its own
    style_dropout: float = 0.1  # and of the rest, without a style,
    score_dropout: float = 0.1  # or without a score
    shown: float = 0.5  # seconds of a clip on a sheet
    compiled: bool = False  # the step as one graph, on a GPU
    seed: int = 0


class WaveNetLearner:
    """Cross-entropy in bits a sample: van den Oord et al. 2016, section 2.

    Columns: sound (N, samples), classes as uint8 or 16-bit samples as int16; rolls (N, frames,
    pitches) uint8, 255 being 1; styles (N,) int64. A row has as many samples as its frames have.
    """

    def __init__(self, card: Header, settings: WaveNetSettings, device: torch.device) -> None:
        net: dict[str, Any] = dict(card.net)
        told: dict[str, Any] = dict(card.process)
        rng = torch.Generator().manual_seed(settings.seed)
        self.net = embed_normal(initialise(WaveNetModel(**net), rng), rng).to(device)
        self.rate = whole_rate(told)
        self.settings, self.device, self.steps = settings, device, 0
        self.average = Average(self.net, settings.decay)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), settings.rate, weight_decay=settings.weight_decay, fused=True
        )
        self.bits = self._bits
        if settings.compiled and device.type == "cuda":  # a processor gains little, and waits long
            self.bits = torch.compile(self._bits)
        self.seen: tuple[Tensor, Tensor] | None = None  # rolls and styles, to show what it plays

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        self.seen = batch[1], batch[2]
        sound, roll, style = _checked(self.net, tuple(c.to(self.device) for c in batch))
        frames = min(self.settings.crop, roll.shape[1])
        first = torch.randint(roll.shape[1] - frames + 1, (len(roll),), generator=rng)
        first = first.to(self.device)
        previous, target = _crops(self.net, sound, first, frames)
        roll, style = self._told(_windows(self.net, roll, first, frames), style, rng)
        with mixed(self.device):
            bits = self.bits(previous, target, roll, style)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(bits)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        settings = self.settings
        factor = warm_cosine(self.steps, settings.steps, settings.warmup)
        set_rate(self.optimiser, settings.rate * factor)
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        loss, length = torch.stack([bits.detach(), norm]).tolist()  # waited for once
        return {"loss": loss, "norm": length}

    def _bits(self, previous: Tensor, target: Tensor, roll: Tensor, style: Tensor) -> Tensor:
        logits: Tensor = self.net(previous, roll, style)
        return F.cross_entropy(logits.float().flatten(0, 1), target.flatten()) / BIT

    def _told(self, roll: Tensor, style: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """What each crop is told: not always all of it."""
        settings = self.settings
        chance = torch.rand(3, len(style), generator=rng).to(style.device)
        free = chance[0] < settings.free
        no_style = free | (chance[1] < settings.style_dropout)
        no_score = free | (chance[2] < settings.score_dropout)
        roll = torch.where(no_score[:, None, None], 0.0, roll)
        return roll, torch.where(no_style, self.net.styles, style)

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """Spectrograms of clips, (rows, 1, 64, 64), that play the scores seen last in turn; before
        there were any, styles in turn and what it likes."""
        net = copy.deepcopy(self.average.net).to(CPU)
        frames = max(1, round(self.settings.shown * self.rate / net.hop))
        roll, style = self._shown(net, rows, frames)
        return mel_pictures(played(net, roll, style, rng), self.rate)

    def _shown(self, net: WaveNetModel, rows: int, frames: int) -> tuple[Tensor, Tensor]:
        if self.seen is None:
            return net.unscored(frames).expand(rows, -1, -1), torch.arange(rows) % (net.styles + 1)
        turn = torch.arange(rows) % len(self.seen[1])
        roll = F.pad(self.seen[0][turn, :frames], (0, 0, 0, max(0, frames - self.seen[0].shape[1])))
        return net.scored(roll.float() / 255), self.seen[1][turn]

    def weights(self) -> dict[str, Tensor]:
        return {k: v.contiguous().cpu() for k, v in self.average.net.state_dict().items()}

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        begin_average(self.net, self.average, weights)

    def state(self) -> dict[str, Any]:
        return state_of(self.steps, self._parts())

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = take_back(state, self._parts())

    def _parts(self) -> dict[str, Kept]:
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser}


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
    place = (first * net.hop)[:, None] + samples
    target = _classes(net, sound.gather(1, place))
    before = _classes(net, sound.gather(1, (place[:, :1] - 1).clamp(min=0)))
    before = torch.where(first[:, None] > 0, before, silence)
    return torch.cat([before, target[:, :-1]], 1), target


def _classes(net: WaveNetModel, sound: Tensor) -> Tensor:
    if sound.dtype == torch.uint8:
        return sound.long()
    return mulaw.encode(sound.float() / 32768, net.classes)


def _windows(net: WaveNetModel, roll: Tensor, first: Tensor, frames: int) -> Tensor:
    """As `WaveNetModel.condition` takes them, of each row from a frame on."""
    whole = net.scored(roll.float() / 255)
    place = first[:, None] + torch.arange(frames + 2 * net.around, device=roll.device)
    return whole.gather(1, place[..., None].expand(-1, -1, whole.shape[2]))


@torch.inference_mode()
def played(net: WaveNetModel, roll: Tensor, style: Tensor, rng: torch.Generator) -> Tensor:
    """Sound (B, frames x hop) of rolls (B, frames + 2 around, pitches + 1), as it is served."""
    weights = Stacked(net)
    advance, _, _ = stepping(weights, CPU)
    told = net.condition(roll, style)
    uniforms = torch.rand(len(style), told.shape[1] * net.hop, generator=rng)
    rings, length, last = (part.expand(len(style), *part.shape) for part in weights.silence())
    ones = torch.ones(len(style))
    return advance((rings, length, last), told, Draws(uniforms, ones, ones))[0]


def whole_rate(process: Mapping[str, Any]) -> int:
    """Samples a second. Raises TrainingRefused for what can't be served."""
    try:
        return sound_of(process).rate
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
        told = ((window, style), (torch.zeros_like(window), none))
        for name, given in zip(sums, told, strict=True):
            logits = net(previous, *given).flatten(0, 1)
            sums[name] += F.cross_entropy(logits, target.flatten()).item() / BIT
    found = {name: total / len(rows) for name, total in sums.items()}
    known, asked = (
        _classed(net, columns) for columns in (data.train, tuple(c[rows] for c in data.test))
    )
    found["test_bits_linear"] = linear_bits(known, asked, net.classes)
    found["test_bits_uniform"] = math.log2(net.classes)
    return {name: round(value, 4) for name, value in found.items()}


def _classed(net: WaveNetModel, columns: Batch) -> tuple[Tensor, Tensor]:
    """Sound as classes in uint8 where it can be, and styles."""
    sound, _, style = columns
    return (sound if sound.dtype == torch.uint8 else _classes(net, sound)), style
