"""Draws thumbnails, as WebP. The same file gives the same bytes."""

import io
from typing import TYPE_CHECKING

from app.core.images.image_reader import UnreadableFile, read_picture
from app.thumbnails.media_decoder import FORMATS, Waveform, decode_media
from models.music.midi import read_midi
from models.score import Score, ScoreError

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
SCORES = ("audio/midi",)
DRAWN = frozenset((*PICTURES, *SCORES, *FORMATS))
"""Content types that have thumbnails."""
TALLEST = 4  # times as high as wide
LOSSLESS = 24_576  # bytes: a lossless file is no larger, or it is not lossless
QUALITY = 85
INK = (91, 127, 220, 255)  # a blue that shows on white and on black
WIDE = 2  # times as wide as high, of what is drawn of sounds and scores


def draw_thumbnail(data: bytes, content_type: str, width: int) -> bytes:
    """A WebP file at most `width` pixels wide, and at most four times as high.

    Pictures and first frames keep their aspect and are never enlarged. Sounds are drawn as a
    waveform and scores as a piano roll, both on transparent ground, half as high as wide. Blocks.
    Raises UnreadableFile.
    """
    if content_type in PICTURES:
        return _reduced(read_picture(data), width)
    if content_type in SCORES:
        try:
            return _file(_piano_roll(read_midi(data), width))
        except ScoreError as error:
            raise UnreadableFile(f"can't be read: {error}") from None
    decoded = decode_media(data, content_type, width)
    if isinstance(decoded, Waveform):
        return _file(_waveform(decoded, width))
    return _reduced(decoded, width)


def _reduced(picture: "Image", width: int) -> bytes:
    from PIL import Image

    picture.thumbnail((width, TALLEST * width), Image.Resampling.LANCZOS)
    return _file(picture)


def _file(picture: "Image") -> bytes:
    """Lossless where that is small, as pixel art is."""
    out = io.BytesIO()
    picture.save(out, "WEBP", lossless=True, method=4)
    if out.tell() > LOSSLESS:
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


def _waveform(sound: Waveform, width: int) -> "Image":
    """A line a column, the loudest as high as the picture; silence is a line in the middle."""
    picture, height = _ground(width)
    loudest = max(1, *(max(-low, high) for low, high in sound.peaks))
    middle = (height - 1) / 2
    for x, (low, high) in enumerate(sound.peaks):
        top, bottom = (round(middle - middle * sample / loudest) for sample in (high, low))
        picture.paste(INK, (x, top, x + 1, bottom + 1))
    return picture


def _piano_roll(score: Score, width: int) -> "Image":
    """A bar a note: pitches from the lowest to the highest, time from left to right."""
    picture, height = _ground(width)
    low, high = min(n.pitch for n in score.notes), max(n.pitch for n in score.notes)
    seconds = max(note.end for note in score.notes)
    row = height / (high - low + 1)
    for note in score.notes:
        left = min(width - 1, round(width * note.onset / seconds))
        right = round(width * note.end / seconds)
        top = round(row * (high - note.pitch))
        bottom = round(row * (high - note.pitch + 1))
        picture.paste(INK, (left, top, max(left + 1, right), max(top + 1, bottom)))
    return picture


def _ground(width: int) -> "tuple[Image, int]":
    from PIL import Image

    height = width // WIDE
    return Image.new("RGBA", (width, height), (0, 0, 0, 0)), height
