"""Draws music: performances beside recordings, and compositions beside held-out pieces."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.audio.wavenet import WaveNet
from models.checkpoint.header import Header
from models.engine.flow import Family
from models.music.composer import Composer
from models.score import Score, trimmed
from training.data.music.audio_columns import heard_of
from training.data.music.build import STYLES
from training.evaluation.audio_player import (
    MINUTES,
    SECONDS,
    Excerpt,
    excerpts_of,
    performances,
    player_params,
)
from training.evaluation.composer import Piece, composed, composer_params, held_out_of
from training.evaluation.evaluator import EvaluationRefused
from training.metrics.audio.mel import FLOOR, log_mel
from training.metrics.music.roll_images import whole_picture

EACH = 2  # of every style
HEIGHT, WIDTH = 96, 320
LABEL = 14  # pixels above a picture
CPU = torch.device("cpu")


def music_sheet(header: Header, model: Family[Any]) -> Image.Image:
    """Two columns, generated and real, with default params and seed 0.

    Raises DataMissing where there is no corpus to compare with.
    """
    if isinstance(model, WaveNet):
        return _of_player(header, model)
    if isinstance(model, Composer):
        return _of_composer(header, model)
    raise EvaluationRefused(f"nothing shows the music of {header.family}")


def _of_player(header: Header, model: WaveNet) -> Image.Image:
    excerpts: list[Excerpt] = []
    for number, style in enumerate(STYLES):
        held_out = list(excerpts_of(heard_of(style, MINUTES), number, test=True))
        excerpts += held_out[:: max(1, len(held_out) // EACH)][:EACH]
    sounds = performances(model, excerpts, player_params(header, {}), 0, CPU)
    pairs = [
        (_spectrogram(sound, model.rate), _spectrogram(excerpt.sound, model.rate))
        for excerpt, sound in zip(excerpts, sounds, strict=True)
    ]
    titles = [model.labels[excerpt.style] for excerpt in excerpts]
    return _side_by_side(titles, pairs, ("played", "recording"))


def _of_composer(header: Header, model: Composer) -> Image.Image:
    params = composer_params(header, {})
    real: list[Piece] = []
    for style in STYLES:
        real += held_out_of(model.tokenizer, style)[:EACH]
    styles = [style for style, _ in real]
    pairs = [
        (_notes(written, params.seconds), _notes(score, params.seconds))
        for (_, written), (_, score) in zip(composed(model, params, styles, 0), real, strict=True)
    ]
    return _side_by_side(styles, pairs, ("composed", "held out"))


def _spectrogram(sound: Tensor, rate: int) -> Tensor:
    """(HEIGHT, WIDTH) in [0, 1]: low below, early left, loud bright."""
    hop = round(SECONDS * rate) // WIDTH
    seen = log_mel(sound[None], rate, bands=HEIGHT, size=2048, hop=hop)[0, :, :WIDTH]
    return ((seen - FLOOR) / -FLOOR).clamp(0, 1).flip(0)


def _notes(score: Score, seconds: float) -> Tensor:
    return whole_picture(trimmed(score, 0, seconds), seconds, HEIGHT, WIDTH)


def _side_by_side(
    titles: Sequence[str], pairs: Sequence[tuple[Tensor, Tensor]], heads: tuple[str, str]
) -> Image.Image:
    page = Image.new("L", (2 * (WIDTH + 4), len(pairs) * (HEIGHT + LABEL + 4)), 255)
    canvas, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for row, (title, pair) in enumerate(zip(titles, pairs, strict=True)):
        top = row * (HEIGHT + LABEL + 4)
        for column, (head, picture) in enumerate(zip(heads, pair, strict=True)):
            left = column * (WIDTH + 4) + 2
            canvas.text((left, top + 1), f"{title}, {head}", 0, font)
            pixels = picture.mul(255).round().byte().contiguous().numpy()
            page.paste(Image.fromarray(pixels), (left, top + LABEL))
    return page
