"""Family `wavenet`: sound, a sample after another (van den Oord et al. 2016, 1609.03499)."""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.artifacts import Artifact, Audio, NotFinite
from models.audio.wavenet_torch import Advanced, Draws, Stacked, State
from models.audio.wavenet_torch import advance as advance_plainly
from models.checkpoint.configs import SoundProcess
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_net
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step
from models.engine.noise import derived
from models.music.composer import PARTS, Composer
from models.music.piano_roll import Rolled
from models.nets.wavenet import WaveNetModel as Net
from models.params.audio import LONGEST, SHORT, ComposerParams, WaveNetParams
from models.score import OCTAVE, Score, within

KERNEL_CHUNK, PLAIN_CHUNK = 160, 32  # samples a step, about, in whole frames
GRAPH_ROWS = 8
CPU = torch.device("cpu")
ALL = 1000  # parts of the work, of which a composer has
COMPOSED = 100
Advance = Callable[[State, Tensor, Draws], Advanced]


class WaveNet:
    """Advances a stream by a chunk of samples a step, its state in and out.

    Its weights stay in single precision, whatever place they are given: half of it is not faster
    here. Every row is given its style and score by itself, so that with the kernel its bits do not
    depend on its neighbours; the plain steps run in batches of four.
    """

    max_items = 64

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.home = home_of(placement.device)
        self.net = build_net(Net, checkpoint, Placement(self.home))
        self.labels = checkpoint.header.labels
        if len(self.labels) != self.net.styles:
            raise CheckpointError(
                f"it has {len(self.labels)} labels, and its net {self.net.styles} styles"
            )
        sound = SoundProcess.parse(checkpoint.header.process)
        self.rate, self.gain = sound.rate, sound.gain
        self.rolls = Rolled(*sound.pitches) if sound.pitches else None
        if self.rolls and self.rolls.channels != self.net.pitches:
            raise CheckpointError(
                f"its rolls have {self.rolls.channels} keys, and its net {self.net.pitches}"
            )
        self.weights = Stacked(self.net)
        self._advance, rows, chunk = stepping(self.weights, self.home)
        self.frames = max(1, round(chunk / self.net.hop))  # a step
        self.samples = self.frames * self.net.hop
        self.composer = self._composer_of(checkpoint, placement)
        self.item_bytes = self._item_bytes()
        none, one = torch.tensor(self.net.styles), torch.tensor(1.0)
        roll, uniforms = self._scored(None, 1), torch.zeros(self.samples)
        example = (*self.weights.silence(), uniforms, roll, none, one, one)
        self.advance: BatchedFn[Advanced] = BatchedFn(self._chunk, example, pad_to=rows)
        self.batched: tuple[BatchedFn[Any], ...] = (self.advance,)
        if self.composer:
            self.batched += self.composer.batched
            self.max_items = min(self.max_items, self.composer.max_items)
            self.item_bytes += self.composer.item_bytes

    def _composer_of(self, checkpoint: Checkpoint, placement: Placement) -> Composer | None:
        if "composer" not in checkpoint.requires:
            return None
        composer = Composer(checkpoint.requires["composer"], placement)
        if list(composer.tokenizer.styles) != self.labels:
            raise CheckpointError(
                f"its styles are {', '.join(self.labels)}, and its composer's "
                f"{', '.join(composer.tokenizer.styles)}"
            )
        if self.rolls is None or len(self.rolls.pitches) < OCTAVE:
            raise CheckpointError("it needs a composer, and can't play an octave")
        return composer

    def _item_bytes(self) -> int:
        """A state on its way in and out of a batch, the longest sound, its previews and score."""
        state = self.weights.places * self.weights.residual
        second = 3 * self.rate + self.rate // self.net.hop * (self.net.pitches + 1)
        return int(4 * (6 * state + LONGEST * second)) + 2**20

    def _chunk(self, *columns: Tensor) -> Advanced:
        """Of each stream: its state, uniforms, roll, style, temperature and top_p."""
        away = columns[0].device
        at_home = (column.to(self.home) for column in columns)
        rings, length, last, uniforms, roll, style, temperature, top_p = at_home
        conditioning = [  # each by itself: a larger product would round otherwise
            self.net.condition(roll[row : row + 1], style[row : row + 1])
            for row in range(len(roll))
        ]
        draws = Draws(uniforms, temperature, top_p)
        samples, *state = self._advance((rings, length, last), torch.cat(conditioning), draws)
        samples, rings, length, last = (t.to(away) for t in (samples * self.gain, *state))
        return samples, rings, length, last

    async def generate(
        self, params: WaveNetParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        composing = derived(rng)
        score = inputs.get("score")
        if isinstance(score, Score):
            lasting = min(score.seconds, LONGEST) if params.seconds is None else params.seconds
            timed = params.model_copy(update={"seconds": lasting})
            return await self.perform(timed, rng, self.rolled(score, lasting))
        if self.composer is None or params.unconditioned:
            return await self.perform(params, rng, None)
        composed, style = await self._composed(self.composer, params, composing)
        composed_params = params.model_copy(update={"style": style})
        roll = self.rolled(composed, params.seconds or SHORT)
        (audio,) = await self.perform(composed_params, rng, roll, COMPOSED)
        number = torch.tensor(self.labels.index(style))
        return replace(audio, notes=self._notes(params, number)), composed

    async def _composed(
        self, composer: Composer, params: WaveNetParams, rng: torch.Generator
    ) -> tuple[Score, str]:
        """What is to be played where nothing was given, and its style."""
        asked = ComposerParams(
            style=params.style,
            tempo=params.tempo,
            key=params.key,
            seconds=params.seconds or SHORT,
        )

        def share(done: int) -> tuple[int, int]:
            return COMPOSED * done // PARTS, ALL

        free, style = await composer.compose(asked, rng, None, share)
        assert self.rolls is not None  # a composer needs an octave
        return within(free, self.rolls.pitches), style

    def rolled(self, score: Score, seconds: float) -> Tensor:
        """What `perform` takes of so much of a score. Raises ValueError for what it can't play."""
        if self.rolls is None:
            raise ValueError("this model plays no scores")
        rate = self.rate / self.net.hop
        return torch.from_numpy(self.rolls.roll(score, rate, math.ceil(seconds * rate)))

    async def perform(
        self, params: WaveNetParams, rng: torch.Generator, roll: Tensor | None, before: int = 0
    ) -> tuple[Audio]:
        """What a roll says, (frames, pitches) in [0, 1] at a frame of the net's `hop`, and silence
        after its end. None leaves the net to play what it likes. `before` is how many of ALL parts
        of the work are done already."""
        style = self._style(params, rng)
        settings = (style, torch.tensor(params.temperature), torch.tensor(params.top_p))
        seconds = SHORT if params.seconds is None else params.seconds
        count = max(1, round(seconds * self.rate))
        steps = math.ceil(count / self.samples)
        scored = self._scored(None if params.unconditioned else roll, steps)
        state, wave = self.weights.silence(), torch.zeros(steps * self.samples)
        for number in range(steps):
            start, frame = number * self.samples, number * self.frames
            around = scored[frame : frame + self.frames + 2 * self.net.around]
            row = (*state, torch.rand(self.samples, generator=rng), around, *settings)
            so_far = partial(self._sound, wave[:start], count)
            done = before * steps + (ALL - before) * (number + 1)
            chunk, *after = await Step(self.advance, row, (done, ALL * steps), so_far)
            if not chunk.isfinite().all():  # none of what follows would be better
                raise NotFinite
            wave[start : start + self.samples] = chunk
            state = (after[0], after[1], after[2])
        return (Audio(wave[None, :count], self.rate, self._notes(params, style)),)

    def _style(self, params: WaveNetParams, rng: torch.Generator) -> Tensor:
        """The number of the style asked for, or of one drawn; of none where there is none.

        One is drawn in any case, so that asking for the one that was drawn gives the same.
        """
        if params.unconditioned or not self.labels:
            return torch.tensor(self.net.styles)
        drawn = torch.randint(len(self.labels), (), generator=rng)
        return drawn if params.style is None else torch.tensor(self.labels.index(params.style))

    def _notes(self, params: WaveNetParams, style: Tensor) -> tuple[str, ...]:
        drawn = params.style is None and not params.unconditioned and self.labels
        return (f"the style is {self.labels[int(style)]}",) if drawn else ()

    def _scored(self, roll: Tensor | None, steps: int) -> Tensor:
        """For so many steps, with what the net looks around: (frames + 2 around, pitches + 1).

        Raises ValueError for a roll of other keys than the net's.
        """
        frames = steps * self.frames
        if roll is None:
            return self.net.unscored(frames)
        if roll.ndim != 2 or roll.shape[1] != self.net.pitches:
            raise ValueError(
                f"a roll must be (frames, {self.net.pitches}), not {tuple(roll.shape)}"
            )
        whole = F.pad(roll.float(), (0, 0, 0, max(0, frames - len(roll))))
        return self.net.scored(whole[:frames])

    def _sound(self, before: Tensor, count: int, result: Advanced) -> Audio:
        """What there is to hear once a step has run."""
        return Audio(torch.cat([before, result[0]])[None, :count], self.rate)


def home_of(device: torch.device) -> torch.device:
    """Where its samples are made: by a processor even beside a GPU, if there is the kernel.

    On an H200 a graph's chunk of a lone stream took seven times as long as it plays, and of eight
    as long; a processor's core plays more than one, and eight by two.
    """
    return CPU if importlib.util.find_spec("numba") else device


def stepping(weights: Stacked, device: torch.device) -> tuple[Advance, int | None, int]:
    """The fastest way to advance on a device, the batch it must be padded to, and its chunk."""
    if device.type == "cuda":
        from models.audio.wavenet_cuda_graph import Captured

        return Captured(weights), GRAPH_ROWS, PLAIN_CHUNK
    if importlib.util.find_spec("numba") is None:
        return partial(advance_plainly, weights), 4, PLAIN_CHUNK
    from models.audio import wavenet_numba  # numba takes a second to load

    return partial(wavenet_numba.advance, wavenet_numba.packed(weights)), None, KERNEL_CHUNK
