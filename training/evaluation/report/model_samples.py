"""Makes a small sample of each checkpoint, which `GET /models/{id}/sample` serves.

The seeds are fixed, so the same checkpoint gives the same sample: sixteen pictures, four clips, a
piano roll of each style, some seconds of music, or a short text.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.artifacts import Audio, Text, Video
from models.checkpoint.header import Header
from models.checkpoint.weights import load
from models.engine.flow import Family
from models.families import FAMILIES
from models.music.composer import Composer
from models.registry import CheckpointRegistry
from models.score import Score
from training.evaluation.composer import composed, composer_params
from training.evaluation.evaluator import EvaluationRefused, requests_of
from training.evaluation.image import image_requests, takes_prompt
from training.generate import generate_items, generate_pixels, load_model

FOLDER = "samples"  # in a folder of checkpoints
CPU = torch.device("cpu")
SEED = 0
COLUMNS = 4
LARGEST = 256  # pixels; smaller pictures are enlarged to at most that
QUALITY = 82  # of WebP
PICTURES = (
    *("red apple", "cat face", "rocket", "party popper"),
    *("red heart", "panda", "rainbow", "birthday cake"),
    *("sunflower", "pizza", "guitar", "dog face"),
    *("star", "hot beverage", "butterfly", "house"),
)
CLIPS = ("grinning face", "butterfly", "red heart", "winking face")
SECONDS = 7.0  # of music
ROLL_SECONDS, ROLL_HEIGHT, ROLL_WIDTH, TITLE = 8.0, 72, 320, 14
PAPER, INK = "#20242c", "#7fc8f8"
STORY: Mapping[str, Any] = {
    "kind": "story",
    "prompt": "a lighthouse keeper who befriends a seagull",
    "max_tokens": 160,
}

Sample = tuple[str, bytes]
"""The ending of a sample's file, and what is in it."""


def write_samples(folders: Sequence[Path], out: Path, ids: Sequence[str] = ()) -> Iterator[Path]:
    """Writes the samples of these checkpoints, or of all, and yields each file.

    Embeddings have none. Raises EvaluationRefused for an id of no checkpoint.
    """
    entries = CheckpointRegistry(*folders).entries()
    if unknown := [id_ for id_ in ids if id_ not in entries]:
        raise EvaluationRefused(f"there is no checkpoint {unknown[0]}; known: {', '.join(entries)}")
    out.mkdir(parents=True, exist_ok=True)
    for id_ in ids or entries:
        header = entries[id_].header
        make = MAKERS.get(FAMILIES[header.family].modality)
        if make is None:
            continue
        ending, content = make(header, load_model(load(entries[id_].path), CPU))
        path = out / f"{id_}.{ending}"
        path.write_bytes(content)
        yield path


def picture_sample(header: Header, model: Family[Any]) -> Sample:
    """Sixteen pictures on one sheet: of each label in turn, or of prompts."""
    count = COLUMNS * COLUMNS
    if takes_prompt(header):
        requests = requests_of(header, {}, [{"prompt": prompt} for prompt in PICTURES])
    else:
        requests = image_requests(header, {}, count).params
    page = tiled(generate_pixels(model, requests, SEED, CPU), COLUMNS)
    if (times := LARGEST // max(page.size)) > 1:
        page = page.resize([times * side for side in page.size], Image.Resampling.NEAREST)
    return "webp", webp_of(page)


def clip_sample(header: Header, model: Family[Any]) -> Sample:
    """Four clips side by side, as an animation that plays for ever."""
    own = [{"prompt": prompt} for prompt in CLIPS] if takes_prompt(header) else [{}] * len(CLIPS)
    clips = generate_items(model, requests_of(header, {}, own), SEED, CPU, Video)
    frames = torch.stack([clip.pixels for clip in clips]).mul(255).round().byte()  # (N, F, C, H, W)
    first, *rest = (tiled(frames[:, i], 2) for i in range(frames.shape[1]))
    out, duration = io.BytesIO(), round(1000 / clips[0].fps)
    options = {"quality": QUALITY, "method": 6, "duration": duration, "loop": 0}
    first.save(out, "WEBP", save_all=True, append_images=rest, **options)
    return "webp", out.getvalue()


def music_sample(header: Header, model: Family[Any]) -> Sample:
    """A piano roll of each style by a composer, and else some seconds of sound."""
    if isinstance(model, Composer):
        return "webp", webp_of(_rolls(header, model))
    requests = requests_of(header, {"seconds": SECONDS, "style": header.labels[0]})
    (audio,) = generate_items(model, requests, SEED, CPU, Audio)
    out = io.BytesIO()
    soundfile.write(out, audio.samples.T.cpu().numpy(), audio.rate, format="OGG")
    return "ogg", out.getvalue()


def text_sample(header: Header, model: Family[Any]) -> Sample:
    """The beginning of a story, its title first."""
    (story,) = generate_items(model, requests_of(header, STORY), SEED, CPU, Text)
    text = story.text.strip() + (" …" if story.finish == "length" else "")
    return "txt", "\n\n".join(filter(None, (story.title, f"{text}\n"))).encode()


MAKERS: dict[str, Callable[[Header, Family[Any]], Sample]] = {
    "image": picture_sample,
    "text-to-image": picture_sample,
    "video": clip_sample,
    "audio": music_sample,
    "story": text_sample,
}


def tiled(pictures: Tensor, columns: int) -> Image.Image:
    """Pictures (N, C, H, W) uint8, C 1 or 3, side by side."""
    count, _, high, wide = pictures.shape
    page = Image.new("RGB", (columns * wide, count // columns * high))
    for index, picture in enumerate(pictures.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)):
        corner = (index % columns * wide, index // columns * high)
        page.paste(Image.fromarray(picture.contiguous().numpy()), corner)
    return page


def webp_of(page: Image.Image) -> bytes:
    out = io.BytesIO()
    page.save(out, "WEBP", quality=QUALITY, method=6)
    return out.getvalue()


def _rolls(header: Header, model: Composer) -> Image.Image:
    """A roll of each style, from its first note on."""
    params = composer_params(header, {"seconds": ROLL_SECONDS})
    styles = list(header.labels)
    page = Image.new("RGB", (ROLL_WIDTH, len(styles) * (ROLL_HEIGHT + TITLE)), "white")
    canvas, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for row, (style, score) in enumerate(composed(model, params, styles, SEED)):
        top = row * (ROLL_HEIGHT + TITLE)
        canvas.text((2, top + 1), style, "black", font)
        page.paste(piano_roll(score), (0, top + TITLE))
    return page


def piano_roll(score: Score) -> Image.Image:
    """ROLL_SECONDS of a score: high notes above, and as tall as their range of pitches allows."""
    page = Image.new("RGB", (ROLL_WIDTH, ROLL_HEIGHT), PAPER)
    start = min((note.onset for note in score.notes), default=0.0)
    notes = [note for note in score.notes if note.onset < start + ROLL_SECONDS]
    if not notes:
        return page
    lowest, highest = min(n.pitch for n in notes), max(n.pitch for n in notes)
    canvas, tall = ImageDraw.Draw(page), ROLL_HEIGHT / (highest - lowest + 1)
    for note in notes:
        left, right = (ROLL_WIDTH * (x - start) / ROLL_SECONDS for x in (note.onset, note.end))
        top = tall * (highest - note.pitch)
        canvas.rectangle((left, top, max(left, right - 2), top + max(0, min(tall, 8) - 2)), INK)
    return page
