"""Measures a player of scores: held-out scores are played, and compared with their recordings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import cast

import torch
from pydantic import JsonValue
from torch import Tensor

from models.artifacts import Audio
from models.audio import mulaw
from models.audio.wavenet import WaveNet
from models.checkpoint.header import Header
from models.engine.noise import seeded
from models.params.audio import WaveNetParams
from models.params.base import posted_files
from models.score import Score, trimmed
from training.data.music.audio_columns import StyleAudio, heard_of
from training.data.music.build import STYLES
from training.data.music.rendering import RATE
from training.evaluation.evaluator import (
    Evaluation,
    EvaluationRefused,
    Figures,
    Task,
    mean_figures,
    once,
    requests_of,
)
from training.generate import generate_items
from training.metrics.audio.faults import FRAME, faults, loudness
from training.metrics.audio.notes import onset_f1, pitches_right
from training.metrics.audio.style_classifier import StyleClassifier, train_style_classifier

SECONDS = 10.0  # of an excerpt
COUNT = 16  # excerpts a seed, if nothing else is asked for
MINUTES = 60.0  # of each style, that excerpts come from
TRAINED = 300  # excerpts of each style that the classifier learns from, at most
NOISE = 0.1  # deviation of the noise that stands beside
CLIP = round(SECONDS * RATE)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Ten seconds of a piece: the index of its style, its score, and its recording (n,)."""

    style: int
    score: Score
    sound: Tensor


@dataclass(frozen=True, slots=True)
class PlayerComparison:
    """Held-out excerpts, and a classifier of styles that has learnt from the others."""

    excerpts: list[Excerpt]
    classifier: StyleClassifier

    def figures(self, sounds: list[Tensor]) -> Figures:
        """Means over performances of the first excerpts."""
        pairs = zip(self.excerpts, sounds, strict=False)
        return mean_figures(self._figures(excerpt, sound) for excerpt, sound in pairs)

    def _figures(self, excerpt: Excerpt, sound: Tensor) -> Figures:
        style = int(self.classifier.styles(sound[None]))
        return {
            "pitches_right": pitches_right(sound, RATE, excerpt.score),
            "style_right": float(style == excerpt.style),
            "onsets": onset_f1(sound, RATE, excerpt.score),
            "loudness": loudness(sound),
            **faults(sound, RATE, sounding(excerpt.score)),
        }


def evaluate_player(task: Task) -> Evaluation:
    """Prepares an evaluation on held-out scores. Their recordings are what is real."""
    model = cast(WaveNet, task.model)
    params = player_params(task.header, task.options.params)
    if model.rolls is None or model.rate != RATE:
        raise EvaluationRefused("it plays no scores, or not at the rate of the corpus")
    if model.labels != list(STYLES):
        raise EvaluationRefused(f"its styles are not those of the corpus: {', '.join(STYLES)}")
    comparison = comparison_of([heard_of(style, MINUTES) for style in STYLES])
    held_out = len(comparison.excerpts)
    count = COUNT if task.options.n is None else task.options.n
    if not 1 <= count <= held_out:
        raise EvaluationRefused(f"{count} clips can't be played: {held_out} are held out")
    excerpts = comparison.excerpts[:count]

    def noise(seed: int) -> Figures:
        rng = seeded(seed)
        sounds = [NOISE * torch.randn(CLIP, generator=rng) for _ in excerpts]
        return comparison.figures([sound.clamp(-1, 1) for sound in sounds])

    return Evaluation(
        {
            "n": count,
            "reference": "held-out scores",
            "held_out": held_out,
            "features": "spectra",
        },
        model=lambda seed: comparison.figures(
            performances(model, excerpts, params, seed, task.device)
        ),
        real=once(lambda: comparison.figures([excerpt.sound for excerpt in excerpts])),
        noise=noise,
    )


def player_params(header: Header, params: Mapping[str, JsonValue]) -> WaveNetParams:
    """Raises EvaluationRefused for what can't be asked of every excerpt alike."""
    (request,) = requests_of(header, params)
    for name in ("style", "seconds", "tempo", "key"):
        if name in params:
            raise EvaluationRefused(f"{name} is that of each score")
    if request.unconditioned or posted_files(request):
        raise EvaluationRefused("held-out scores are played: not unconditioned, and no other")
    return cast(WaveNetParams, request)


def performances(
    model: WaveNet, excerpts: list[Excerpt], params: WaveNetParams, seed: int, device: torch.device
) -> list[Tensor]:
    """Returns the sound (n,) of every excerpt's score, as the items of a job of this seed."""
    requests = [
        params.model_copy(update={"style": model.labels[excerpt.style], "seconds": SECONDS})
        for excerpt in excerpts
    ]
    inputs = [{"score": excerpt.score} for excerpt in excerpts]
    performed = generate_items(model, requests, seed, device, Audio, inputs)
    return [audio.samples[0] for audio in performed]


def comparison_of(styles: list[StyleAudio]) -> PlayerComparison:
    """Takes held-out excerpts, styles in turn, and trains the classifier on the others."""
    held_out = [list(excerpts_of(heard, n, test=True)) for n, heard in enumerate(styles)]
    turns = [one for turn in zip_longest(*held_out) for one in turn if one is not None]
    known = [
        one
        for n, heard in enumerate(styles)
        for one in islice(excerpts_of(heard, n, test=False), TRAINED)
    ]
    sound, style = torch.stack([e.sound for e in known]), torch.tensor([e.style for e in known])
    return PlayerComparison(turns, train_style_classifier(sound, style, RATE))


def excerpts_of(heard: StyleAudio, style: int, *, test: bool) -> Iterator[Excerpt]:
    """Yields excerpts of SECONDS, end to end; of held-out pieces, or of the others."""
    for classes, score, held_out in heard:
        if held_out == test:
            sound = mulaw.decode(torch.from_numpy(classes).long())
            for number in range(len(sound) // CLIP):
                own = trimmed(score, number * SECONDS, (number + 1) * SECONDS)
                yield Excerpt(style, own, sound[number * CLIP : (number + 1) * CLIP])


def sounding(score: Score) -> Tensor:
    """In which frames of FRAME some note of a score sounds, (frames,) bool."""
    when = torch.arange(round(SECONDS / FRAME)) * FRAME
    frames = torch.zeros(len(when), dtype=torch.bool)
    for note in score.notes:
        frames |= (when >= note.onset) & (when + FRAME <= note.end)
    return frames
