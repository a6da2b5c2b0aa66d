"""`atelier train` and `inspect`: checkpoints and the files they made."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.cli.output import fail, settings_with, show_json

Folder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder of checkpoints.", envvar="ATELIER_CHECKPOINTS"),
]
CHUNK = "atelier"  # of PNG text
SOUNDS = (b"fLaC", b"OggS", b"ID3", b"MThd")  # how their files begin, but WAV's
FACTS = b'{"checkpoint": "'  # how what made a file begins
IMAGE_DESCRIPTION = 0x010E  # the EXIF tag, in WebP
NEEDS = "pip install 'atelier[{extra}]' brings what this command needs ({missing} is missing)"


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe, named as the checkpoint it makes, or a .toml file.")
    ],
    data: Annotated[
        str | None, typer.Option(help="A folder of pictures, or a set by its name.")
    ] = None,
    name: Annotated[str | None, typer.Option("--id", help="What to call the checkpoint.")] = None,
    to: Folder = None,
    runs: Annotated[Path, typer.Option(help="Folder for state, samples and plots.")] = Path("runs"),
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps, if not the recipe's own.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was broken off.")] = False,
    replace: Annotated[
        bool, typer.Option(help="Give up the checkpoint that has the name already.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    start: Annotated[
        str | None, typer.Option("--from", help="Begin from this checkpoint's weights.")
    ] = None,
) -> None:
    """Train a checkpoint, from data that its recipe fetches or from pictures of your own.

    It is served as soon as it is there.
    """
    try:
        from training.errors import TrainingError, TrainingStopped
        from training.pipeline import TrainOptions, run
    except ModuleNotFoundError as error:
        raise fail(NEEDS.format(extra="train", missing=error.name)) from None
    folder = settings_with(checkpoints=to).checkpoints
    order = TrainOptions(recipe, folder, runs, data, name, steps, resume, replace, device, start)
    try:
        path = run(order)
    except TrainingStopped as error:
        raise fail(f"{error}; the same command goes on with --resume", 128 + error.signal) from None
    except TrainingError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise fail("stopped; what was saved goes on with --resume", 130) from None
    print(path)


def inspect(
    file: Annotated[Path, typer.Argument(help="A file made here, or a checkpoint.")],
) -> None:
    """What made a file, or what a checkpoint is."""
    from models.checkpoint.header import SUFFIX, CheckpointError, file_sha256, read_header

    if not file.is_file():
        raise fail(f"no file {file}")
    if file.suffix == SUFFIX:
        try:
            card: Any = read_header(file).model_dump(mode="json")
        except CheckpointError as error:
            raise fail(str(error)) from None
        show_json(card | {"sha256": file_sha256(file)})
        return
    show_json(facts_of(file))


def facts_of(file: Path) -> Any:
    """What workers.encoders.encode wrote into the file, read without torch."""
    facts = facts_of_picture(file) if (sound := told_by_sound(file)) is None else sound
    if not isinstance(facts, dict) or "checkpoint" not in facts:
        raise fail(f"{file} does not say what made it")
    return facts


def told_by_sound(file: Path) -> Any:
    """What stands in the tags of a sound, a score or an MP4: ASCII, and in one piece whatever its
    format. None of other files, `{}` where nothing is told."""
    data = file.read_bytes()
    if not data.startswith(SOUNDS) and data[8:12] != b"WAVE" and data[4:8] != b"ftyp":
        return None
    place = data.find(FACTS)
    text = data[max(place, 0) :].decode("latin-1") if place >= 0 else ""
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return {}


def facts_of_picture(file: Path) -> Any:
    """What is written into a picture, or None."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise fail(NEEDS.format(extra="worker", missing=error.name)) from None
    try:
        with Image.open(file) as picture:
            told = (picture.info.get(name) for name in (CHUNK, "comment"))  # of PNG, of GIF
            text = next(filter(None, told), None) or picture.getexif().get(IMAGE_DESCRIPTION)
            return json.loads(text or "null")
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise fail(f"{file} is no picture, sound, score, video or checkpoint") from None
    except ValueError:
        return None
