"""Measures a composer: pieces in every style, compared with held-out pieces of the same length."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import cast

import numpy as np
import torch
from pydantic import JsonValue

from models.checkpoint.header import Header
from models.music.composer import Composer
from models.music.tokenizer import MusicTokens
from models.params.audio import ComposerParams
from models.params.base import posted_files
from models.score import DRUMS, TONICS, Score, trimmed
from training.data.music.build import STYLES
from training.data.music.token_columns import pieces_of
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
from training.metrics.music.copying import CopyIndex, runs_of

CPU = torch.device("cpu")
COUNT = 32  # pieces a seed, if nothing else is asked for
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10, 11)}
"""Semitones above the tonic; of minor the leading tone as well."""

Piece = tuple[str, Score]
"""A style and a score."""


@dataclass(frozen=True, slots=True)
class ComposerComparison:
    """Held-out pieces, styles in turn, and what could have been copied from, by style."""

    tokenizer: MusicTokens
    held_out: list[Piece]
    known: dict[str, CopyIndex]

    @classmethod
    def of(cls, tokenizer: MusicTokens) -> "ComposerComparison":
        held_out = [held_out_of(tokenizer, style) for style in STYLES]
        known = {
            style: CopyIndex.of([runs_of(tokenizer, p) for p, test in pieces_of(style) if not test])
            for style in STYLES
        }
        return cls(
            tokenizer, [one for turn in zip_longest(*held_out) for one in turn if one], known
        )

    def figures(self, pieces: list[Piece]) -> Figures:
        """Means over pieces, by name."""
        means = mean_figures(dict(self._figures(style, score)) for style, score in pieces)
        return dict(sorted(means.items()))

    def _figures(self, style: str, score: Score) -> Iterator[tuple[str, float]]:
        tokens = np.array(self.tokenizer.encode(score, style))
        copied = self.known[style].longest(runs_of(self.tokenizer, tokens))
        yield "copied", copied
        yield f"copied_{style}", copied
        yield "notes_a_second", len(score.notes) / max(score.seconds, 1e-9)
        if (share := in_key(score)) is not None:
            yield "in_key", share


def evaluate_composer(task: Task) -> Evaluation:
    """Prepares an evaluation in all styles of the corpus."""
    model = cast(Composer, task.model)
    params = composer_params(task.header, task.options.params)
    if list(model.tokenizer.styles) != list(STYLES):
        raise EvaluationRefused(f"its styles are not those of the corpus: {', '.join(STYLES)}")
    comparison = ComposerComparison.of(model.tokenizer)
    held_out = len(comparison.held_out)
    count = COUNT if task.options.n is None else task.options.n
    if not 1 <= count <= held_out:
        raise EvaluationRefused(f"{count} pieces can't be compared: too few are held out")
    real = [(style, trimmed(s, 0, params.seconds)) for style, s in comparison.held_out[:count]]
    styles = [style for style, _ in real]
    return Evaluation(
        {
            "n": count,
            "reference": "held-out pieces",
            "held_out": held_out,
            "features": "notes",
        },
        model=lambda seed: comparison.figures(composed(model, params, styles, seed)),
        real=once(lambda: comparison.figures(real)),
    )


def composed(model: Composer, params: ComposerParams, styles: list[str], seed: int) -> list[Piece]:
    """Returns a piece in each of these styles, as the items of a job of this seed."""
    requests = [params.model_copy(update={"style": style}) for style in styles]
    scores = generate_items(model, requests, seed, CPU, Score)
    return list(zip(styles, scores, strict=True))


def composer_params(header: Header, params: Mapping[str, JsonValue]) -> ComposerParams:
    """Raises EvaluationRefused for what can't be asked of every piece alike."""
    (request,) = requests_of(header, params)
    if "style" in params or posted_files(request):
        raise EvaluationRefused("pieces are made in every style, and from the beginning")
    return cast(ComposerParams, request)


def held_out_of(tokenizer: MusicTokens, style: str) -> list[Piece]:
    return [(style, tokenizer.decode(p.tolist())[0]) for p, test in pieces_of(style) if test]


def in_key(score: Score) -> float | None:
    """Returns the share of pitched notes that are of its scale; None without notes or key."""
    pitches = [note.pitch for note in score.notes if note.program != DRUMS]
    if score.key is None or not pitches:
        return None
    tonic, mode = score.key.split()
    scale = {(TONICS.index(tonic) + step) % len(TONICS) for step in SCALES[mode]}
    return sum(pitch % len(TONICS) in scale for pitch in pitches) / len(pitches)
