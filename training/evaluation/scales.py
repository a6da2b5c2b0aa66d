"""Measures a player by scores as users post them: single-line scales, in every style.

It needs no corpus. What stands beside it are plain tones, of which the tracker of pitches hears
every one, and noise.
"""

import math
from typing import cast

import torch
from torch import Tensor

from models.artifacts import Audio
from models.audio.wavenet import WaveNet
from models.engine.noise import seeded
from models.params.audio import WaveNetParams
from models.params.base import posted_files
from models.score import OCTAVE, Note, Score
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
from training.metrics.audio.pitch import notes_right

SCALES = "scales"
"""The reference that asks for this evaluation."""
MIDDLE_C = 60
MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones above the tonic
LENGTH = 0.5  # seconds of a note
LINES = (MAJOR, MAJOR[::-1])
COUNT = len(LINES)  # scales of each style a seed: up, then down
HARMONICS = 6  # of a plain tone
NOISE = 0.1  # deviation


def scale(line: tuple[int, ...]) -> Score:
    """Returns eight notes from C4 to C5 or back, half a second each, without a rest."""
    return Score(
        tuple(
            Note(number * LENGTH, (number + 1) * LENGTH, MIDDLE_C + step)
            for number, step in enumerate(line)
        )
    )


def evaluate_scales(task: Task) -> Evaluation:
    """Prepares an evaluation of `n` scales in each of the player's styles."""
    model: object = task.model
    if not isinstance(model, WaveNet):
        raise EvaluationRefused(f"only a player of scores is measured by {SCALES}")
    (request,) = cast(list[WaveNetParams], requests_of(task.header, task.options.params))
    for name in ("style", "seconds", "tempo", "key"):
        if name in task.options.params:
            raise EvaluationRefused(f"{name} is that of each scale")
    if model.rolls is None or request.unconditioned or posted_files(request):
        raise EvaluationRefused("scales are played: it must play scores, and no other")
    count = COUNT if task.options.n is None else task.options.n
    if not 1 <= count <= COUNT:
        raise EvaluationRefused(f"1 to {COUNT} scales are measured, not {count}")
    if not {MIDDLE_C + step for line in LINES for step in line} <= set(model.rolls.pitches):
        raise EvaluationRefused("it does not play the notes from C4 to C5")
    scores = [scale(line) for line in LINES[:count]]
    items = [(style, score) for style in model.labels for score in scores]
    requests = [
        request.model_copy(update={"style": style, "seconds": score.seconds})
        for style, score in items
    ]
    inputs = [{"score": score} for _, score in items]

    def measure(seed: int) -> Figures:
        audio = generate_items(task.model, requests, seed, task.device, Audio, inputs)
        return mean_figures(
            scale_figures(style, one.samples[0], model.rate, score)
            for (style, score), one in zip(items, audio, strict=True)
        )

    def noise(seed: int) -> Figures:
        sounds = NOISE * torch.randn(
            len(scores), round(scores[0].seconds * model.rate), generator=seeded(seed)
        )
        pairs = zip(sounds, scores, strict=True)
        return mean_figures(scale_figures("", x, model.rate, score) for x, score in pairs)

    plain = [(tones(score, model.rate), score) for score in scores]
    return Evaluation(
        {"n": count, "reference": SCALES, "held_out": len(MAJOR), "features": "pitches"},
        measure,
        real=once(lambda: mean_figures(scale_figures("", x, model.rate, s) for x, s in plain)),
        noise=noise,
    )


def scale_figures(style: str, sound: Tensor, rate: int, score: Score) -> Figures:
    """Returns the shares of notes and of pitch classes that are right, of all and of a style."""
    notes, classes = notes_right(sound, rate, score)
    figures = {"notes_right": notes, "classes_right": classes}
    return figures | ({f"notes_right_{style}": notes} if style else {})


def tones(score: Score, rate: int) -> Tensor:
    """Returns a melody (n,) of harmonic tones, each overtone half as loud as the one below."""
    sound = torch.zeros(round(score.seconds * rate))
    for note in score.notes:
        first, last = round(note.onset * rate), round(note.end * rate)
        phase = torch.arange(last - first) / rate * 2 * math.pi
        hertz = 440 * 2 ** ((note.pitch - 69) / OCTAVE)
        overtones = (torch.sin(k * hertz * phase) / 2**k for k in range(1, HARMONICS + 1))
        sound[first:last] = torch.stack(list(overtones)).sum(0)
    return sound
