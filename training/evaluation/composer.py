"""How good a composer is: pieces in every style, and what their notes say.

Every figure stands beside what held-out pieces of the same length reach.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
from pydantic import JsonValue, ValidationError

from models.checkpoint.weights import Checkpoint
from models.music.composer import Composer
from models.music.tokenizer import MusicTokens
from models.params.audio import ComposerParams
from models.params.base import posted_files
from models.score import DRUMS, TONICS, Score, part
from training.data.music.build import STYLES
from training.data.music.token_columns import pieces_of
from training.evaluation.options import Record
from training.evaluation.reference import EvaluationRefused
from training.generate import generate_items
from training.metrics.copying import CopyIndex, runs_of
from training.metrics.interval import MOST, interval

CPU = torch.device("cpu")
COUNT = 32  # pieces a seed, if nothing else is asked for
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10, 11)}
"""Semitones above the tonic; of minor the leading tone as well."""

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Library:
    """Held-out pieces, styles in turn, and what could have been copied from, by style."""

    held_out: list[tuple[str, Score]]
    known: dict[str, CopyIndex]


def measured_composer(
    model: Composer, checkpoint: Checkpoint, given: Record, n: int | None, seeds: int
) -> Record:
    """The record of an evaluation. Raises EvaluationRefused or DataMissing."""
    count = COUNT if n is None else n
    asked = composer_params(checkpoint, given)
    if list(model.tokenizer.styles) != list(STYLES):
        raise EvaluationRefused(f"its styles are not those of the corpus: {', '.join(STYLES)}")
    if not 1 <= seeds <= MOST:
        raise EvaluationRefused(f"the interval is over 1 to {MOST} seeds, not {seeds}")
    library = library_of(model)
    if not 1 <= count <= len(library.held_out):
        raise EvaluationRefused(f"{count} pieces can't be compared: too few are held out")
    styles = [style for style, _ in library.held_out[:count]]
    real = [(style, part(score, 0, asked.seconds)) for style, score in library.held_out[:count]]
    return {
        "params": dict(given),
        "n": count,
        "seeds": seeds,
        "reference": "held-out pieces",
        "held_out": len(library.held_out),
        "features": "notes",
        **_over(model, library, [made_by(model, asked, styles, s) for s in range(seeds)]),
        "real": _over(model, library, [real]),
    }


def made_by(
    model: Composer, asked: ComposerParams, styles: list[str], seed: int
) -> list[tuple[str, Score]]:
    """A piece in each of these styles, as the items of a job of this seed."""
    requests = [asked.model_copy(update={"style": style}) for style in styles]
    scores = generate_items(model, requests, seed, CPU, Score)
    return list(zip(styles, scores, strict=True))


def composer_params(checkpoint: Checkpoint, given: Record) -> ComposerParams:
    """Raises EvaluationRefused for what can't be asked of every piece alike."""
    try:
        asked = ComposerParams.model_validate(checkpoint.header.defaults | given)
    except ValidationError as error:
        first = error.errors()[0]
        raise EvaluationRefused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if "style" in given or posted_files(asked):
        raise EvaluationRefused("pieces are made in every style, and from the beginning")
    return asked


def library_of(model: Composer) -> Library:
    held_out = [held_out_of(model.tokenizer, style) for style in STYLES]
    known = {
        style: CopyIndex.of(
            [runs_of(model.tokenizer, p) for p, test in pieces_of(style) if not test]
        )
        for style in STYLES
    }
    return Library([one for turn in zip_longest(*held_out) for one in turn if one], known)


def held_out_of(words: MusicTokens, style: str) -> list[tuple[str, Score]]:
    return [(style, words.decode(p.tolist())[0]) for p, test in pieces_of(style) if test]


def _over(
    model: Composer, library: Library, series: list[list[tuple[str, Score]]]
) -> dict[str, JsonValue]:
    """Means over the pieces of a seed, as means with intervals over seeds."""
    values: dict[str, list[float]] = {}
    for pieces in series:
        found = [dict(_figures(model, library, style, score)) for style, score in pieces]
        for name in {name for one in found for name in one}:
            own = [one[name] for one in found if name in one]
            values.setdefault(name, []).append(float(np.mean(own)))
    return {name: interval(values[name]).card() for name in sorted(values)}


def _figures(
    model: Composer, library: Library, style: str, score: Score
) -> Iterator[tuple[str, float]]:
    tokens = np.array(model.tokenizer.encode(score, style))
    copied = library.known[style].longest(runs_of(model.tokenizer, tokens))
    yield "copied", copied
    yield f"copied_{style}", copied
    yield "notes_a_second", len(score.notes) / max(score.seconds, 1e-9)
    if (right := in_key(score)) is not None:
        yield "in_key", right


def in_key(score: Score) -> float | None:
    """The share of its pitched notes that are of its scale; None if it has none, or no key."""
    pitches = [note.pitch for note in score.notes if note.program != DRUMS]
    if score.key is None or not pitches:
        return None
    tonic, mode = score.key.split()
    scale = {(TONICS.index(tonic) + step) % len(TONICS) for step in SCALES[mode]}
    return sum(pitch % len(TONICS) in scale for pitch in pitches) / len(pitches)
