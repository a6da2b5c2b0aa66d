"""How good a player of scores is: held-out scores played, and what is heard of them.

Every figure stands beside what the recordings of those same scores reach, and white noise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest

import torch
from pydantic import ValidationError
from torch import Tensor

from models.artifacts import Audio
from models.audio import mulaw
from models.audio.wavenet import WaveNet
from models.checkpoint.weights import Checkpoint
from models.engine.noise import seeded
from models.params.audio import WaveNetParams
from models.params.base import posted_files
from models.score import Score, part
from training.data.music.audio_columns import StyleAudio, heard_of
from training.data.music.build import STYLES
from training.data.music.rendering import RATE
from training.evaluation.options import Record
from training.evaluation.reference import EvaluationRefused
from training.generate import generate_items
from training.metrics.interval import MOST, interval
from training.metrics.notes import onset_f, pitches_right
from training.metrics.sound import FRAME, faults, loudness
from training.metrics.styles import StyleEar, trained_ear

SECONDS = 10.0  # of a clip
COUNT = 16  # clips a seed, if nothing else is asked for
MINUTES = 60.0  # of each style, that clips and the ear come from
TAUGHT = 300  # clips of each style that the ear learns from, at most
NOISE = 0.1  # deviation of the noise that is listened to for comparison
CLIP = round(SECONDS * RATE)

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Clip:
    """Ten seconds of a piece: the number of its style, its score, and its recording (n,)."""

    style: int
    score: Score
    sound: Tensor


@dataclass(frozen=True, slots=True)
class Playback:
    """What a player is heard with."""

    clips: list[Clip]
    ear: StyleEar

    def figures(self, clip: Clip, sound: Tensor) -> Figures:
        """Of one performance of a clip's score."""
        found = {
            "style_right": float(int(self.ear.styles(sound[None])) == clip.style),
            "onsets": onset_f(sound, RATE, clip.score),
            "loudness": loudness(sound),
            **faults(sound, RATE, sounding(clip.score)),
        }
        return {"pitches_right": pitches_right(sound, RATE, clip.score), **found}


def measured_player(
    model: WaveNet,
    checkpoint: Checkpoint,
    params: Record,
    n: int | None,
    seeds: int,
    device: torch.device,
) -> Record:
    """The record of an evaluation. Raises EvaluationRefused or DataMissing."""
    count = COUNT if n is None else n
    asked = player_params(checkpoint, params)
    if model.sound.rolled is None or model.rate != RATE:
        raise EvaluationRefused("it plays no scores, or not at the rate of the corpus")
    if model.labels != list(STYLES):
        raise EvaluationRefused(f"its styles are not those of the corpus: {', '.join(STYLES)}")
    if not 1 <= seeds <= MOST:
        raise EvaluationRefused(f"the interval is over 1 to {MOST} seeds, not {seeds}")
    room = room_of([heard_of(style, MINUTES) for style in STYLES])
    if not 1 <= count <= len(room.clips):
        raise EvaluationRefused(f"{count} clips can't be played: {len(room.clips)} are held out")

    def play(seed: int) -> list[Tensor]:
        return performances(model, room.clips[:count], asked, seed, device)

    def noise(seed: int) -> list[Tensor]:
        rng = seeded(seed)
        made = [NOISE * torch.randn(CLIP, generator=rng) for _ in range(count)]
        return [sound.clamp(-1, 1) for sound in made]

    about: Record = {
        "params": dict(params),
        "n": count,
        "seeds": seeds,
        "reference": "held-out scores",
        "held_out": len(room.clips),
        "features": "spectra",
    }
    return (
        about
        | over_seeds(room, play, seeds)
        | {"real": over_seeds(room, lambda _: [c.sound for c in room.clips[:count]], 1)}
        | {"noise": over_seeds(room, noise, seeds)}
    )


def player_params(checkpoint: Checkpoint, given: Record) -> WaveNetParams:
    """Raises EvaluationRefused for what can't be asked of every clip alike."""
    try:
        asked = WaveNetParams.model_validate(checkpoint.header.defaults | given)
    except ValidationError as error:
        first = error.errors()[0]
        raise EvaluationRefused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for name in ("style", "seconds", "tempo", "key"):
        if name in given:
            raise EvaluationRefused(f"{name} is that of each score")
    if asked.unconditioned or posted_files(asked):
        raise EvaluationRefused("held-out scores are played: not unconditioned, and no other")
    return asked


def over_seeds(room: Playback, play: Callable[[int], list[Tensor]], seeds: int) -> Record:
    """Means over the clips of a seed, as means with intervals over seeds."""
    series: dict[str, list[float]] = {}
    for seed in range(seeds):
        heard = [room.figures(c, s) for c, s in zip(room.clips, play(seed), strict=False)]
        for name in heard[0]:
            mean = sum(one[name] for one in heard) / len(heard)
            series.setdefault(name, []).append(mean)
    return {name: interval(values).card() for name, values in series.items()}


def performances(
    model: WaveNet, clips: list[Clip], asked: WaveNetParams, seed: int, device: torch.device
) -> list[Tensor]:
    """The sound (n,) of every clip's score, as the items of a job of this seed."""
    requests = [
        asked.model_copy(update={"style": model.labels[clip.style], "seconds": SECONDS})
        for clip in clips
    ]
    inputs = [{"score": clip.score} for clip in clips]
    performed = generate_items(model, requests, seed, device, Audio, inputs)
    return [audio.samples[0] for audio in performed]


def room_of(styles: list[StyleAudio]) -> Playback:
    """Held-out clips, styles in turn, and an ear that has learnt from the others."""
    held_out = [list(clips_of(heard, number, test=True)) for number, heard in enumerate(styles)]
    taught = [
        list(islice(clips_of(heard, number, test=False), TAUGHT))
        for number, heard in enumerate(styles)
    ]
    turns = [clip for turn in zip_longest(*held_out) for clip in turn if clip is not None]
    known = [clip for clips in taught for clip in clips]
    sound, style = torch.stack([c.sound for c in known]), torch.tensor([c.style for c in known])
    return Playback(turns, trained_ear(sound, style, RATE))


def clips_of(heard: StyleAudio, style: int, *, test: bool) -> Iterator[Clip]:
    """Clips of SECONDS, end to end; of pieces that are held out, or of the others."""
    for classes, score, held_out in heard:
        if held_out == test:
            sound = mulaw.decode(torch.from_numpy(classes).long())
            for number in range(len(sound) // CLIP):
                own = part(score, number * SECONDS, (number + 1) * SECONDS)
                yield Clip(style, own, sound[number * CLIP : (number + 1) * CLIP])


def sounding(score: Score) -> Tensor:
    """In which frames of FRAME some note of a score sounds, (frames,) bool."""
    when = torch.arange(round(SECONDS / FRAME)) * FRAME
    told = torch.zeros(len(when), dtype=torch.bool)
    for note in score.notes:
        told |= (when >= note.onset) & (when + FRAME <= note.end)
    return told
