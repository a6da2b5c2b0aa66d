"""Music to look at: what a player makes of held-out scores beside their recordings, and what a
composer writes beside held-out pieces."""

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.audio.wavenet import WaveNet
from models.checkpoint.weights import Checkpoint
from models.music.composer import Composer
from models.score import Score, part
from training.data.music.audio_columns import heard_of
from training.data.music.build import STYLES
from training.evaluation.audio_player import (
    MINUTES,
    SECONDS,
    Clip,
    clips_of,
    performances,
    player_params,
)
from training.evaluation.composer import composer_params, held_out_of, made_by
from training.evaluation.reference import EvaluationRefused
from training.generate import load_model
from training.metrics.mel import FLOOR, log_mel
from training.metrics.notation import whole_picture

EACH = 2  # of every style
HEIGHT, WIDTH = 96, 320
LABEL = 14  # pixels above a picture
CPU = torch.device("cpu")


def music_sheet(checkpoint: Checkpoint) -> Image.Image:
    """Two columns, what is made and what is real; with default params and seed 0.

    Raises DataMissing where there is no corpus to compare with.
    """
    model = load_model(checkpoint, CPU)
    if isinstance(model, WaveNet):
        return _of_player(model, checkpoint)
    if isinstance(model, Composer):
        return _of_composer(model, checkpoint)
    raise EvaluationRefused(f"nothing shows the music of {checkpoint.header.family}")


def _of_player(model: WaveNet, checkpoint: Checkpoint) -> Image.Image:
    clips: list[Clip] = []
    for number, style in enumerate(STYLES):
        held_out = list(clips_of(heard_of(style, MINUTES), number, test=True))
        clips += held_out[:: max(1, len(held_out) // EACH)][:EACH]
    made = performances(model, clips, player_params(checkpoint, {}), 0, CPU)
    pairs = [
        (_spectrogram(sound, model.rate), _spectrogram(clip.sound, model.rate))
        for clip, sound in zip(clips, made, strict=True)
    ]
    return _side_by_side([model.labels[c.style] for c in clips], pairs, ("played", "recording"))


def _of_composer(model: Composer, checkpoint: Checkpoint) -> Image.Image:
    asked = composer_params(checkpoint, {})
    real: list[tuple[str, Score]] = []
    for style in STYLES:
        real += held_out_of(model.tokenizer, style)[:EACH]
    styles = [style for style, _ in real]
    pairs = [
        (_notes(made, asked.seconds), _notes(score, asked.seconds))
        for (_, made), (_, score) in zip(made_by(model, asked, styles, 0), real, strict=True)
    ]
    return _side_by_side(styles, pairs, ("composed", "held out"))


def _spectrogram(sound: Tensor, rate: int) -> Tensor:
    """(HEIGHT, WIDTH) in [0, 1]: low below, early left, loud bright."""
    hop = round(SECONDS * rate) // WIDTH
    seen = log_mel(sound[None], rate, bands=HEIGHT, size=2048, hop=hop)[0, :, :WIDTH]
    return ((seen - FLOOR) / -FLOOR).clamp(0, 1).flip(0)


def _notes(score: Score, seconds: float) -> Tensor:
    return whole_picture(part(score, 0, seconds), seconds, HEIGHT, WIDTH)


def _side_by_side(
    titles: Sequence[str], pairs: Sequence[tuple[Tensor, Tensor]], heads: tuple[str, str]
) -> Image.Image:
    page = Image.new("L", (2 * (WIDTH + 4), len(pairs) * (HEIGHT + LABEL + 4)), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for row, (title, pair) in enumerate(zip(titles, pairs, strict=True)):
        top = row * (HEIGHT + LABEL + 4)
        for column, (head, picture) in enumerate(zip(heads, pair, strict=True)):
            left = column * (WIDTH + 4) + 2
            pen.text((left, top + 1), f"{title}, {head}", 0, font)
            pixels = picture.mul(255).round().byte().contiguous().numpy()
            page.paste(Image.fromarray(pixels), (left, top + LABEL))
    return page
